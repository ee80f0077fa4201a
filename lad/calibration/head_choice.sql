-- Relation head_choice: which attention heads look at the target, one row per head, best first.
-- Relation in: signals, with head_attention. Parameter: $n_candidates, N.
--   found         share of presentations in which the target draws most of the head's attention (no other image as much)
--   target_share  mean share of the head's attention to images that goes to the target
with
layers as (
    select
        target_position,
        generate_subscripts(head_attention, 1)::integer - 1 as layer,
        unnest(head_attention) as heads
    from signals
),

looks as (
    select
        target_position,
        layer,
        generate_subscripts(heads, 1)::integer - 1 as head,
        unnest(heads)::double[] as attention
    from layers
),

skill as (
    select
        layer,
        head,
        avg(
            (
                attention[target_position] = list_max(attention)
                and length(list_filter(attention, lambda a: a = attention[target_position])) = 1
            )::integer
        ) as found,
        avg(attention[target_position] / greatest(list_sum(attention), 1e-30)) as target_share
    from looks
    group by layer, head
)

select
    $n_candidates as n_candidates,
    row_number() over (order by found desc, target_share desc, layer, head)::integer as rank,
    layer,
    head,
    found,
    target_share
from skill
order by rank
