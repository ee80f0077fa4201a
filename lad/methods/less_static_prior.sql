-- Relation scores: scores less a static prior over positions, one row per presentation and position (PriDe, contextual
-- calibration). Relations in: observed_scores, position_prior. Parameter: $method, whose prior.
select
    observed_scores.presentation_id,
    observed_scores.position,
    observed_scores.score - position_prior.log_prior as score
from observed_scores
inner join position_prior using (position)
where position_prior.method = $method
