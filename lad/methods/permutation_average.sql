-- Relation scores: a question's scores averaged over its orders by candidate, in the first of these orders.
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
),

first_orders as (
    select question_id, arg_min(presentation_id, {'round': round, 'id': presentation_id}) as presentation_id
    from signals
    group by question_id
)

select
    first_orders.presentation_id,
    shown.position,
    candidates.score
from first_orders
inner join shown using (presentation_id)
inner join candidates using (question_id, candidate)
