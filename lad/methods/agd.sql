-- Relation scores: attention-guided debiasing, one row per presentation and position. Eq. 13 and 14.
-- Relations in: observed_scores, purified_attention, position_bias. Parameters: $formulation, whose
-- position_bias; $mixture, the domain of the sum over target positions.
with
bias as (
    select target_position, position, bias
    from position_bias
    where formulation = $formulation
),

expected as (  -- eq. 13: pi says where the target may be, the bias what the model then answers
    select
        purified_attention.presentation_id,
        bias.position,
        case $mixture
            when 'probabilities' then ln(greatest(sum(purified_attention.score * exp(bias.bias)), 1e-300))
            when 'logs' then sum(purified_attention.score * bias.bias)
        end as log_prior
    from purified_attention
    inner join bias on bias.target_position = purified_attention.position
    group by purified_attention.presentation_id, bias.position
)

select  -- eq. 14
    observed_scores.presentation_id,
    observed_scores.position,
    observed_scores.score - expected.log_prior as score
from observed_scores
inner join expected using (presentation_id, position)
