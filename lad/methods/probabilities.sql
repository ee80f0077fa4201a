-- Relation probabilities: of each presentation that of each position, in their order. Relation in: observed_scores.
select position, exp(log_probability) as total, 1::bigint as presentations
from observed_scores
