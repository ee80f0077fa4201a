-- Where the model looks and what it says in one cell, averaged over the presentations with the same target position.
--   attention  percent of the attention on images that falls on this one, over the layers L* of eq. 8 and 9
--   purified   the same after each layer's attention is divided by its calibrated prior (eq. 11, tau = 1)
--   logit      raw logit of the position's identifier minus the presentation's mean
with looked as (
    -- pi of eq. 12 is a power tau of eq. 11's mean: its root gives the shares back
    select
        presentation_id,
        n,
        method,
        list_transform(scores, lambda s: if(method = 'purified_attention', s ** (1 / $temperature), s)) as scores
    from predictions
    where method in ('attention_readout', 'purified_attention')
        and variant = ''
),

shares as (
    select
        presentation_id,
        method,
        unnest(range(1, n + 1))::integer as position,
        100 * unnest(scores) / list_sum(scores) as share
    from looked
),

said as (
    select
        presentation_id,
        target_position,
        unnest(range(1, n + 1))::integer as position,
        unnest(identifier_logits) - list_avg(identifier_logits) as logit
    from signals
    -- null in windows of lists without a right candidate
    where target_position is not null
)

select
    target_position,
    position,
    avg(share) filter (method = 'attention_readout') as attention,
    avg(share) filter (method = 'purified_attention') as purified,
    avg(logit) as logit
from said
join shares using (presentation_id, position)
group by target_position, position
order by target_position, position
