-- Relation position_bias: what the answer j owes to its position when the target is at i. Eq. 1, 4 and 5.
-- Relation in: observed_scores. Parameters: $formulation, its name; $average, what eq. 1 averages;
-- $n_candidates, N.
-- The released code averages logs and subtracts ideal_ij = mu - k/N + [i=j] k from their mean O_ij, where mu is
-- the mean of all of O and k the log gamma below: but for the constant mu - k/N that is eq. 5.
--   observed  P_obs(j|i), or O_ij with logs
--   bias      log P_bias(j|i), or O_ij - ideal_ij with logs
with
observed as (  -- eq. 1
    select
        target_position,
        position,
        case $average
            when 'probabilities' then ln(greatest(avg(exp(log_probability)), 1e-300))
            when 'logs' then avg(score)
        end as log_observed
    from observed_scores
    group by target_position, position
),

overconfidence as (  -- eq. 4
    select max(at_target.log_observed - elsewhere.log_observed) as log_gamma
    from observed as at_target
    inner join observed as elsewhere using (target_position)
    where at_target.position = target_position and elsewhere.position <> target_position
),

levels as (
    select
        log_gamma,
        case $average
            when 'probabilities' then 0
            when 'logs' then avg(log_observed) - log_gamma / $n_candidates
        end as level
    from observed, overconfidence
    group by log_gamma
)

select
    $formulation as formulation,
    $n_candidates as n_candidates,
    target_position,
    position,
    case $average when 'probabilities' then exp(log_observed) when 'logs' then log_observed end as observed,
    -- eq. 5
    log_observed - level - case when position = target_position then log_gamma else 0 end as bias
from observed, levels
order by target_position, position
