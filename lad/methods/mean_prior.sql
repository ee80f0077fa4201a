-- Relation position_prior: what the model answers whatever it is asked, the log of the mean probability of each
-- position over all presentations. One row per position. Relation in: probability_sums. Parameter: $method, whose prior.
select
    $method as method,
    position,
    ln(greatest(total / presentations, 1e-300)) as log_prior
from probability_sums
