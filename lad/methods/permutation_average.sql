-- Relation scores: scores by candidate, averaged over the orders that an answer rests on. One row per answered
-- presentation and position. Relations in: observed_scores, signals, heard. Parameter: $average, whether probabilities
-- (printed) or log-domain scores (released) are averaged.
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
        heard.presentation_id,
        shown.candidate,
        -- In one order, whatever joins do, so that the same signals give the same bits.
        case $average
            when 'probabilities' then avg(exp(observed_scores.log_probability) order by heard.heard)
            when 'logs' then avg(observed_scores.score order by heard.heard)
        end as score
    from observed_scores
    inner join shown using (presentation_id, position)
    inner join heard on observed_scores.presentation_id = heard.heard
    group by heard.presentation_id, shown.candidate
)

select
    shown.presentation_id,
    shown.position,
    candidates.score
from shown
inner join candidates using (presentation_id, candidate)
