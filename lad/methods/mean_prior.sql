-- Relation position_prior: what the model answers whatever it is asked, the log of the mean probability of each
-- position over all presentations. One row per position. Relation in: observed_scores. Parameter: $method, whose prior.
select
    $method as method,
    position,
    ln(greatest(avg(exp(log_probability)), 1e-300)) as log_prior
from observed_scores
group by position
