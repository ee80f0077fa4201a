-- Relation observed_scores: what the model says, one row per presentation and position. Appendix B.
-- Relation in: signals. Parameter: $scores, the signals column that stands for log P(c_j|x).
--   score            that column's value at the position: in the log domain, unnormalised for logits
--   log_probability  log P(c_j|x): the scores' log-softmax over the N positions
with
listed as (
    select
        presentation_id,
        question_id,
        target_position,
        case $scores
            when 'candidate_logprobs' then candidate_logprobs
            when 'identifier_logits' then identifier_logits
            when 'processed_logits' then processed_logits
        end::double[] as scores
    from signals
),

peaks as (
    select *, list_max(scores) as peak from listed
),

totals as (
    select *, peak + ln(list_sum(list_transform(scores, lambda score: exp(score - peak)))) as log_total
    from peaks
)

select
    presentation_id,
    question_id,
    target_position,
    generate_subscripts(scores, 1)::integer as position,
    unnest(scores) as score,
    unnest(scores) - log_total as log_probability
from totals
