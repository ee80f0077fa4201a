-- Relation observed_scores: what the model says, one row per presentation and position. Appendix B.
-- Relation in: signals. Parameter: $scores, the signals column that stands for log P(c_j|x).
--   score            that column's value at the position: in the log domain, unnormalised for logits
--   log_probability  log P(c_j|x): the scores' log-softmax over the N positions
-- Where an answer alone is known, both are 0 at its position and minus infinity elsewhere: it has probability 1.
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
        end::double[] as said,
        list_transform(
            range(1, n_candidates + 1),
            lambda k: case when k = answered_position then 0 else '-infinity'::double end
        ) as answered
    from signals
),

peaks as (
    select *, list_max(said) as peak from listed
),

totals as (
    select
        *,
        coalesce(said, answered) as scores,
        coalesce(peak + ln(list_sum(list_transform(said, lambda score: exp(score - peak)))), 0) as log_total
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
