-- How often each attention head finds the target in one cell: one row per kind of row, layer and head. Windows of lists
-- without a right candidate are left out.
--   found  share of presentations (%) in which the target draws most of the head's attention, and no other as much
with
layers as (
    select
        'last' as row,
        target_position,
        generate_subscripts(head_attention, 1)::integer - 1 as layer,
        unnest(head_attention) as heads
    from signals
    where target_position is not null
    union all
    select
        'query' as row,
        target_position,
        generate_subscripts(head_query_attention, 1)::integer - 1 as layer,
        unnest(head_query_attention) as heads
    from signals
    where target_position is not null
),

looks as (
    select
        row,
        target_position,
        layer,
        generate_subscripts(heads, 1)::integer - 1 as head,
        unnest(heads)::double[] as attention
    from layers
)

select
    row,
    layer,
    head,
    100 * avg(
        (
            attention[target_position] = list_max(attention)
            and length(list_filter(attention, lambda a: a = attention[target_position])) = 1
        )::integer
    ) as found
from looks
group by row, layer, head
order by row, layer, head
