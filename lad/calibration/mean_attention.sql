-- Relation mean_attention: the attention a position draws whatever it shows, one row per layer and position. Eq. 7.
-- Relation in: layer_attention.
--   attention  mean of a_k^(l) over all presentations; a_prior,k^(l) where these are the calibration's
with
positions as (
    select
        layer,
        generate_subscripts(attention, 1)::integer as position,
        unnest(attention) as attention
    from layer_attention
)

select layer, position, avg(attention) as attention
from positions
group by layer, position
order by layer, position
