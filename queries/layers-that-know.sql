-- In which layers does the attention of the last token find the target most often?
-- found: percent of the presentations in which the target gets the most; chance is 100 / n. Layers count from 0.
with layers as (
    select
        model,
        dataset,
        setting,
        n,
        probe,
        target_position,
        unnest(range(len(candidate_attention))) as layer,
        unnest(candidate_attention) as attention
    from signals
    where split = 'evaluation'
)

select
    model,
    dataset,
    setting,
    n,
    probe,
    layer,
    round(100.0 * avg((list_position(attention, list_max(attention)) = target_position)::integer), 1) as found,
    round(100.0 / n, 1) as chance
from layers
where len(attention) > 0
group by model, dataset, setting, n, probe, layer
qualify row_number() over (partition by model, dataset, setting, n, probe order by found desc, layer) <= 5
order by model, dataset, setting, n, probe, found desc, layer;
