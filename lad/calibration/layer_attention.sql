-- Relation layer_attention: the attention read-out a^(l), one row per presentation and layer that has one. Eq. 6.
-- Relation in: signals. Parameter: $span, 'image' (the image's own tokens) or 'delimited' (delimiters too).
--   layer      decoder layer, from 0
--   attention  a_k^(l) for k = 1..N
with
layers as (
    select
        presentation_id,
        generate_subscripts(candidate_attention, 1)::integer - 1 as layer,
        unnest(candidate_attention)::double[] as image,
        unnest(delimiter_attention) as delimiters
    from signals
)

select
    presentation_id,
    layer,
    case $span
        when 'image' then image
        when 'delimited' then list_transform(image, lambda own, k: own + delimiters[k])
    end as attention
from layers
where len(image) > 0
