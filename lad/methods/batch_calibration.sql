-- Relation scores: probabilities less those of the positions over the whole batch, one row per presentation and
-- position. Relations in: observed_scores; position_prior, made from the same presentations.
select
    observed_scores.presentation_id,
    observed_scores.position,
    exp(observed_scores.log_probability) - exp(position_prior.log_prior) as score
from observed_scores
inner join position_prior using (position)
