-- Relation scores: where the chosen heads look, one row per presentation and position.
-- Relations in: row_attention, of one row; chosen_heads, with layer, head and prior. Parameter: $against, what attention
-- a is held against.
--   score  mean over these heads of a_k / sum_k a_k (none), of log a_k - log prior_k (prior), or of a_k less the head's
--          attention where the query is N/A (null)
-- Half precision, in which files have the attention of heads, ends near 1e-7: for logarithms, less counts as that.
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
            when 'none' then list_transform(attention, lambda a: a / greatest(list_sum(attention), 1e-30))
            when 'prior' then list_transform(
                attention, lambda a, k: ln(greatest(a, 1e-7)) - ln(greatest(prior[k], 1e-7))
            )
            when 'null' then list_transform(attention, lambda a, k: a - null_attention[k])
        end as evidence
    from looks
),

positions as (
    select
        presentation_id,
        generate_subscripts(evidence, 1)::integer as position,
        unnest(evidence) as evidence
    from evidence
)

select presentation_id, position, avg(evidence) as score
from positions
group by presentation_id, position
