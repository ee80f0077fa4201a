-- Relation attention_prior: the attention a position draws whatever it shows. Eq. 7.
-- Relation in: layer_attention. Parameters: $formulation, its name; $n_candidates, N; $first_layer and
-- $last_layer, the layers covered.
--   prior  a_prior,k^(l): mean attention on the image at k over all calibration presentations
with
positions as (
    select
        layer,
        generate_subscripts(attention, 1)::integer as position,
        unnest(attention) as attention
    from layer_attention
    where layer between $first_layer and $last_layer
)

select
    $formulation as formulation,
    $n_candidates as n_candidates,
    layer,
    position,
    avg(attention) as prior
from positions
group by layer, position
order by layer, position
