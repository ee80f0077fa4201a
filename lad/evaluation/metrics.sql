-- Relation metrics: the values of all metrics with their intervals and what they were measured on.
-- Relations in: predictions; measured (the values, each by the query of its metric in metric_queries/); intervals (the
-- bootstrap's low and high of some metrics).
with cells as (
    select
        method,
        variant,
        n_candidates,
        count(distinct question_id)::integer as questions,
        count(*)::integer as presentations
    from predictions
    group by method, variant, n_candidates
)

select
    cells.method,
    cells.variant,
    cells.n_candidates,
    measured.metric,
    measured.target_position,
    measured.position,
    measured.value,
    measured.std,
    intervals.low,
    intervals.high,
    cells.questions,
    cells.presentations
from measured
inner join cells using (method, variant, n_candidates)
left join intervals
    on measured.method = intervals.method
    and measured.variant = intervals.variant
    and measured.n_candidates = intervals.n_candidates
    and measured.metric = intervals.metric
    and measured.target_position is not distinct from intervals.target_position
    and measured.position is not distinct from intervals.position
order by
    cells.method,
    cells.variant,
    cells.n_candidates,
    measured.metric,
    measured.target_position,
    measured.position
