-- Relation chosen_layers: the attention of L*, one row per presentation, chosen layer and position.
-- Eq. 8 and 9. Relation in: layer_attention. Parameters: $layers, those allowed; $top_k, how many are chosen.
with
totals as (  -- eq. 8
    select presentation_id, layer, attention, list_sum(attention) as total
    from layer_attention
    where list_contains($layers, layer)
),

chosen as (  -- eq. 9; of layers with equal totals the lowest
    select
        presentation_id,
        unnest(
            max_by({'layer': layer, 'attention': attention}, {'total': total, 'lowest': -layer}, $top_k)
        ) as place
    from totals
    group by presentation_id
)

select
    presentation_id,
    place.layer,
    generate_subscripts(place.attention, 1)::integer as position,
    unnest(place.attention) as attention
from chosen
