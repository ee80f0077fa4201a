-- Share of the presentations with the target at target_position that were answered with position; recall is its diagonal.
-- A presentation without an answer counts as shown: rows of the matrix may add up to less than 100.
with targets as (
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
    from (select distinct method, variant, n_candidates from predictions)
),

pairs as (
    select i.method, i.variant, i.n_candidates, i.position as target_position, j.position
    from positions as i
    inner join positions as j using (method, variant, n_candidates)
)

-- null where the target never was at target_position
select
    method,
    variant,
    n_candidates,
    target_position,
    position,
    100.0 * coalesce(answered, 0) / shown as value
from pairs
left join targets using (method, variant, n_candidates, target_position)
left join answers using (method, variant, n_candidates, target_position, position)
