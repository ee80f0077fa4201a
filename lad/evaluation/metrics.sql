-- Relation metrics: how well each method answers, one row per metric (and per position where it has them).
-- Relations in: predictions, intervals (the bootstrap's low and high of some metrics). All values in percent.
--   accuracy      mean over rounds, std their sample standard deviation
--   recall        share of the presentations with the target at a position that were answered with it
--   rstd          sample standard deviation of recall over target positions, rounds pooled
--   confusion     share of the presentations with the target at i that were answered j; recall on the diagonal
--   selection_rate  share of all presentations that were answered j
--   consistency   share of the questions shown more than once whose answers were all the same candidate
--   success_rate  share of the generated texts from which an answer could be read, where the answer is from texts;
--                 else of the presentations that have an answer
--   ties          share of the answers whose score another position has as well; null where answers have no scores
-- A presentation without an answer counts as shown and not answered: rows of the confusion matrix may add up to
-- less than 100.
with
cells as (
    select
        method,
        variant,
        n_candidates,
        count(distinct question_id)::integer as questions,
        count(*)::integer as presentations,
        100.0 * avg(coalesce(parsed, (position is not null)::integer)) as success_rate,
        100.0
        * avg((len(list_filter(scores, lambda score: score = scores[position])) > 1)::integer) as ties
    from predictions
    group by method, variant, n_candidates
),

rounds as (
    select method, variant, n_candidates, round, 100.0 * avg(correct::integer) as accuracy
    from predictions
    group by method, variant, n_candidates, round
),

targets as (
    select method, variant, n_candidates, target_position, count(*) as shown
    from predictions
    group by method, variant, n_candidates, target_position
),

answers as (
    select method, variant, n_candidates, target_position, position, count(*) as answered
    from predictions
    group by method, variant, n_candidates, target_position, position
),

positions as (
    select method, variant, n_candidates, unnest(generate_series(1, n_candidates))::integer as position
    from cells
),

pairs as (
    select i.method, i.variant, i.n_candidates, i.position as target_position, j.position
    from positions as i
    inner join positions as j using (method, variant, n_candidates)
),

confusion as (
    select
        method,
        variant,
        n_candidates,
        target_position,
        position,
        -- null where the target never was at target_position
        100.0 * coalesce(answered, 0) / shown as value
    from pairs
    left join targets using (method, variant, n_candidates, target_position)
    left join answers using (method, variant, n_candidates, target_position, position)
),

selections as (
    select
        method,
        variant,
        n_candidates,
        position,
        100.0 * coalesce(sum(answered), 0) / any_value(presentations) as value
    from positions
    inner join cells using (method, variant, n_candidates)
    left join answers using (method, variant, n_candidates, position)
    group by method, variant, n_candidates, position
),

repeated_questions as (
    select
        method,
        variant,
        n_candidates,
        count(candidate) = count(*) and count(distinct candidate) = 1 as consistent
    from predictions
    group by method, variant, n_candidates, question_id
    having count(*) > 1
),

consistencies as (
    select method, variant, n_candidates, 100.0 * avg(consistent::integer) as value
    from repeated_questions
    group by method, variant, n_candidates
),

point_metrics as (
    select
        method,
        variant,
        n_candidates,
        'accuracy' as metric,
        null::integer as target_position,
        null::integer as position,
        avg(accuracy) as value,
        stddev_samp(accuracy) as std
    from rounds
    group by method, variant, n_candidates
    union all
    select method, variant, n_candidates, 'rstd', null, null, stddev_samp(value), null
    from confusion
    where target_position = position
    group by method, variant, n_candidates
    union all
    select method, variant, n_candidates, 'consistency', null, null, value, null
    from cells
    left join consistencies using (method, variant, n_candidates)
    union all
    select method, variant, n_candidates, 'success_rate', null, null, success_rate, null
    from cells
    union all
    select method, variant, n_candidates, 'ties', null, null, ties, null
    from cells
    union all
    select method, variant, n_candidates, 'recall', target_position, null, value, null
    from confusion
    where target_position = position
    union all
    select method, variant, n_candidates, 'selection_rate', null, position, value, null
    from selections
    union all
    select method, variant, n_candidates, 'confusion', target_position, position, value, null
    from confusion
)

select
    point_metrics.method,
    point_metrics.variant,
    point_metrics.n_candidates,
    point_metrics.metric,
    point_metrics.target_position,
    point_metrics.position,
    point_metrics.value,
    point_metrics.std,
    intervals.low,
    intervals.high,
    cells.questions,
    cells.presentations
from point_metrics
inner join cells using (method, variant, n_candidates)
left join intervals
    on point_metrics.method = intervals.method
    and point_metrics.variant = intervals.variant
    and point_metrics.n_candidates = intervals.n_candidates
    and point_metrics.metric = intervals.metric
    and point_metrics.target_position is not distinct from intervals.target_position
    and point_metrics.position is not distinct from intervals.position
order by
    point_metrics.method,
    point_metrics.variant,
    point_metrics.n_candidates,
    list_position(
        ['accuracy', 'rstd', 'consistency', 'success_rate', 'ties', 'recall', 'selection_rate', 'confusion'],
        point_metrics.metric
    ),
    point_metrics.target_position,
    point_metrics.position
