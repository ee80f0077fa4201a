-- Share of all presentations that were answered with one position.
with cells as (
    select method, variant, n_candidates, count(*) as presentations
    from predictions
    group by method, variant, n_candidates
),

answers as (
    select method, variant, n_candidates, position, count(*) as answered
    from predictions
    group by method, variant, n_candidates, position
),

positions as (
    select method, variant, n_candidates, presentations, unnest(generate_series(1, n_candidates))::integer as position
    from cells
)

select method, variant, n_candidates, position, 100.0 * coalesce(answered, 0) / presentations as value
from positions
left join answers using (method, variant, n_candidates, position)
