-- Where each layer looks in one cell of each setting: one row per setting, layer and round.
--   raw       share of presentations (%) whose target draws most of the layer's attention, eq. 6
--   purified  the same once attention is divided by the attention prior, eq. 7
--   chosen    share of presentations (%) for which the layer is one of the $top_k that look at images most, eq. 8, 9
with
looks as (
    select
        setting,
        presentation_id,
        round,
        target_position,
        generate_subscripts(candidate_attention, 1)::integer - 1 as layer,
        unnest(candidate_attention)::double[] as attention
    from signals
    -- null in windows of lists without a right candidate
    where target_position is not null
),

priors as (
    select setting, layer, list(prior order by position) as prior
    from attention_prior
    where formulation = 'printed' and row = 'last'
    group by setting, layer
),

judged as (
    select
        looks.setting,
        looks.round,
        looks.layer,
        list_position(looks.attention, list_max(looks.attention)) = looks.target_position as raw,
        list_transform(looks.attention, lambda a, k: a / greatest(priors.prior[k], 1e-30)) as purified,
        looks.target_position,
        row_number() over (
            partition by looks.setting, looks.presentation_id order by list_sum(looks.attention) desc, looks.layer
        ) <= $top_k as chosen
    from looks
    inner join priors using (setting, layer)
)

select
    setting,
    layer,
    round,
    100 * avg(raw::integer) as raw,
    100 * avg((list_position(purified, list_max(purified)) = target_position)::integer) as purified,
    100 * avg(chosen::integer) as chosen
from judged
group by setting, layer, round
order by setting, layer, round
