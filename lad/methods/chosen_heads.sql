-- Relation scores: where the chosen heads look, one row per presentation and position.
-- Relations in: signals, head_choice. Parameter: $heads, how many heads of head_choice are asked.
--   score  mean over these heads of the share of a head's attention to images that the image at the position has
with
looks as (
    select
        signals.presentation_id,
        head_choice.rank,
        signals.head_attention[head_choice.layer + 1][head_choice.head + 1]::double[] as attention
    from signals
    cross join head_choice
    where head_choice.rank <= $heads
),

shares as (
    select
        presentation_id,
        generate_subscripts(attention, 1)::integer as position,
        unnest(attention) / greatest(list_sum(attention), 1e-30) as share
    from looks
)

select presentation_id, position, avg(share) as score
from shares
group by presentation_id, position
