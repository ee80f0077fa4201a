-- Share of right answers among the presentations with the target at one position (target_position), all orders pooled.
with shown as (
    select method, variant, n_candidates, target_position, 100.0 * sum(correct::integer) / count(*) as recall
    from predictions
    group by method, variant, n_candidates, target_position
),

positions as (
    select method, variant, n_candidates, unnest(generate_series(1, n_candidates))::integer as target_position
    from (select distinct method, variant, n_candidates from predictions)
)

-- null where the target never was at target_position
select method, variant, n_candidates, target_position, recall as value
from positions
left join shown using (method, variant, n_candidates, target_position)
