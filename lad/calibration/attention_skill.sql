-- Relation attention_skill: how well layers and heads know where the target is, one row per row of attention, what it is
-- held against, layer and head; head is null for the layer's head mean.
-- Relation in: row_attention, of calibration presentations. Parameters: $n_candidates, N; $temperature, t.
-- Of attention a, with the layer's or head's prior p (its mean over all presentations) and its null attention n:
--   none   x_k = a_k
--   prior  x_k = a_k mean(p) / p_k, which leaves the scale of attention as it is
--   null   x_k = a_k - n_k
--   found         share of presentations in which the target has the largest x (no other as large)
--   target_share  mean of max(x_target, 0) / sum_k max(x_k, 0)
--   mass          mean of x_target (QRHead)
--   contrast      mean of exp(x_target / t) / sum_k exp(x_k / t) (CoRe)
--   prior         p by position; null unless held against it
with
layers as (
    select
        target_position,
        row,
        generate_subscripts(attention, 1)::integer - 1 as layer,
        unnest(attention) as attention,
        unnest(null_attention) as null_attention,
        unnest(head_attention) as heads,
        unnest(null_head_attention) as null_heads
    from row_attention
),

read_layers as (
    select * from layers
    where len(attention) > 0
),

looks as (
    select
        target_position,
        row,
        layer,
        -1 as head,
        attention::double[] as attention,
        null_attention::double[] as null_attention
    from read_layers
    union all
    select
        target_position,
        row,
        layer,
        generate_subscripts(heads, 1)::integer - 1 as head,
        unnest(heads)::double[] as attention,
        unnest(null_heads)::double[] as null_attention
    from read_layers
),

positions as (
    select
        row,
        layer,
        head,
        generate_subscripts(attention, 1)::integer as position,
        unnest(attention) as attention
    from looks
),

means as (
    select
        row,
        layer,
        head,
        position,
        avg(attention) as prior
    from positions
    group by row, layer, head, position
),

priors as (
    select
        row,
        layer,
        head,
        list(prior order by position) as prior
    from means
    group by row, layer, head
),

evidence as (
    select
        'none' as against,
        target_position,
        row,
        layer,
        head,
        null::double[] as prior,
        attention as x
    from looks
    union all
    select
        'prior' as against,
        looks.target_position,
        row,
        layer,
        head,
        priors.prior,
        list_transform(looks.attention, lambda a, k: a * list_avg(priors.prior) / greatest(priors.prior[k], 1e-30)) as x
    from looks
    inner join priors using (row, layer, head)
    union all
    select
        'null' as against,
        target_position,
        row,
        layer,
        head,
        null::double[] as prior,
        list_transform(attention, lambda a, k: a - null_attention[k]) as x
    from looks
    where null_attention is not null
),

seen as (
    select
        *,
        x[target_position] as at_target,
        list_max(x) as most,
        list_transform(x, lambda value: greatest(value, 0)) as positive
    from evidence
)

select
    $n_candidates as n_candidates,
    row,
    against,
    layer,
    case when head >= 0 then head end as head,
    avg(
        (at_target = most and length(list_filter(x, lambda value: value = at_target)) = 1)::integer
    ) as found,
    avg(positive[target_position] / greatest(list_sum(positive), 1e-30)) as target_share,
    avg(at_target) as mass,
    avg(
        exp((at_target - most) / $temperature)
        / list_sum(list_transform(x, lambda value: exp((value - most) / $temperature)))
    ) as contrast,
    any_value(prior) as prior
from seen
group by row, against, layer, head
order by row, against, layer, head
