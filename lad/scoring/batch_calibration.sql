-- Relation scores: log-probabilities less those of the positions over the whole batch, one row per presentation
-- and position. Relation in: observed_scores, whose presentations are the batch.
with
prior as (  -- P(c_j): what the model answers whatever it is asked
    select position, ln(greatest(avg(exp(log_probability)), 1e-300)) as log_prior
    from observed_scores
    group by position
)

select
    observed_scores.presentation_id,
    observed_scores.position,
    observed_scores.log_probability - prior.log_prior as score
from observed_scores
inner join prior using (position)
