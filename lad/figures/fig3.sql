-- Where the model looks and what it says, averaged over the presentations with the same target position.
--   attention  percent of the attention on images that falls on this one, over the layers L* of eq. 8 and 9
--   purified   the same after each layer's attention is divided by its calibrated prior (eq. 11, tau = 1)
--   logit      raw logit of the position's identifier minus the presentation's mean
with asked as (
    select
        presentation_id,
        target_position,
        image_attention,
        identifier_logits,
        list_avg(identifier_logits) as mean_logit
    from signals
    where model = $model
        and dataset = $dataset
        and setting = $setting
        and n = $n
        and probe = 'vanilla'
        and split = 'evaluation'
),

layers as (
    select
        presentation_id,
        unnest(range(len(image_attention)))::integer as layer,
        unnest(image_attention) as image_attention
    from asked
),

chosen_layers as (
    -- eq. 8 and 9: the K layers that look at the images most; ties go to the lower layer
    select *
    from layers
    qualify row_number() over (partition by presentation_id order by list_sum(image_attention) desc, layer) <= $top_k
),

attention as (
    select
        presentation_id,
        layer,
        unnest(range(1, $n + 1))::integer as position,
        unnest(image_attention) as attention
    from chosen_layers
),

prior as (
    select layer, position, prior
    from attention_prior
    where model = $model
        and dataset = $dataset
        and setting = $setting
        and n = $n
        and probe = 'vanilla'
        and calibration_questions = $calibration_questions
        and formulation = 'printed'
),

aggregated as (
    select
        presentation_id,
        position,
        avg(attention) as attention,
        exp(avg(ln(greatest(attention, 1e-30)) - ln(greatest(prior, 1e-30)))) as purified
    from attention
    join prior using (layer, position)
    group by presentation_id, position
),

shares as (
    select
        presentation_id,
        position,
        100 * attention / sum(attention) over (partition by presentation_id) as attention,
        100 * purified / sum(purified) over (partition by presentation_id) as purified
    from aggregated
),

logits as (
    select
        presentation_id,
        target_position,
        unnest(range(1, $n + 1))::integer as position,
        unnest(identifier_logits) - mean_logit as logit
    from asked
)

select
    target_position,
    position,
    avg(attention) as attention,
    avg(purified) as purified,
    avg(logit) as logit,
    count(*) as presentations
from logits
join shares using (presentation_id, position)
group by target_position, position
order by target_position, position
