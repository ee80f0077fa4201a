-- Relation scores: where the chosen heads look, one row per presentation and position.
-- Relations in: row_attention, of one row; chosen_heads, with layer, head and prior. Parameter: $against, what attention
-- a is held against.
--   score  mean over these heads of x_k / sum_k x_k, with x = a (none) or x = a / prior (prior);
--          or of a less the head's attention where the query is N/A (null)
with
looks as (
    select
        row_attention.presentation_id,
        row_attention.head_attention[chosen_heads.layer + 1][chosen_heads.head + 1]::double[] as attention,
        row_attention.null_head_attention[chosen_heads.layer + 1][chosen_heads.head + 1]::double[] as null_attention,
        chosen_heads.prior
    from row_attention
    cross join chosen_heads
),

evidence as (
    select
        presentation_id,
        case $against
            when 'none' then attention
            when 'prior' then list_transform(attention, lambda a, k: a / greatest(prior[k], 1e-30))
            when 'null' then list_transform(attention, lambda a, k: a - null_attention[k])
        end as x
    from looks
),

positions as (
    select
        presentation_id,
        generate_subscripts(x, 1)::integer as position,
        unnest(x) / case $against when 'null' then 1 else greatest(list_sum(x), 1e-30) end as evidence
    from evidence
)

select presentation_id, position, avg(evidence) as score
from positions
group by presentation_id, position
