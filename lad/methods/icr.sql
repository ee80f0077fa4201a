-- Relation scores: the attention that the query adds, one row per presentation and position.
-- Relation in: row_attention, of one row.
--   score  sum over layers of attention less the same where the query is N/A
with
layers as (
    select presentation_id, unnest(attention) as attention, unnest(null_attention) as null_attention
    from row_attention
),

positions as (
    select
        presentation_id,
        generate_subscripts(attention, 1)::integer as position,
        unnest(attention)::double as attention,
        unnest(null_attention)::double as null_attention
    from layers
)

select presentation_id, position, sum(attention - null_attention) as score
from positions
group by presentation_id, position
