-- Relation scores: a question's scores averaged over its shifts by candidate, in the order shown in round 0.
-- One row per question and position. Relations in: observed_scores, signals. Parameter: $average, whether
-- probabilities (printed) or log-domain scores (released) are averaged.
with
shown as (
    select
        presentation_id,
        generate_subscripts("order", 1)::integer as position,
        unnest("order") as candidate
    from signals
),

candidates as (
    select
        observed_scores.question_id,
        shown.candidate,
        case $average
            when 'probabilities' then avg(exp(observed_scores.log_probability))
            when 'logs' then avg(observed_scores.score)
        end as score
    from observed_scores
    inner join shown using (presentation_id, position)
    group by observed_scores.question_id, shown.candidate
)

select
    signals.presentation_id,
    shown.position,
    candidates.score
from signals
inner join shown using (presentation_id)
inner join candidates using (question_id, candidate)
where signals.round = 0
