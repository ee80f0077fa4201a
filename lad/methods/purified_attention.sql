-- Relation purified_attention: pi, what attention says once the prior is divided out. Eq. 11 and 12.
-- One row per presentation and position. Relations in: chosen_layers, attention_prior. Parameters:
-- $formulation and $row, whose attention_prior; $prior, whether it is divided out; $aggregation, order of mean over L*
-- and logarithm; $temperature, tau.
-- Attention below 1e-30 counts as 1e-30, so that every logarithm exists.
with
prior as (
    select layer, position, ln(greatest(prior, 1e-30)) as log_prior
    from attention_prior
    where formulation = $formulation and row = $row
),

evidence as (  -- eq. 11
    select
        presentation_id,
        position,
        case $aggregation
            when 'mean_of_logs' then avg(ln(greatest(attention, 1e-30)))
            when 'log_of_mean' then ln(greatest(avg(attention), 1e-30))
        end
        - case when $prior then avg(log_prior) else 0 end as log_evidence
    from chosen_layers
    inner join prior using (layer, position)
    group by presentation_id, position
),

listed as (  -- by position, so that sums are taken in one order, whatever rows there are besides
    select presentation_id, list(log_evidence order by position) as log_evidence
    from evidence
    group by presentation_id
),

peaks as (
    select *, list_max(log_evidence) as peak from listed
),

weighed as (
    select
        presentation_id,
        list_transform(log_evidence, lambda each: exp($temperature * (each - peak))) as weights
    from peaks
)

select  -- eq. 12
    presentation_id,
    generate_subscripts(weights, 1)::integer as position,
    unnest(weights) / list_sum(weights) as score
from weighed
