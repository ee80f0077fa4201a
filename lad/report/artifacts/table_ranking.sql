-- Relation: the rankings of all needed scorings, as the table shows them. Relation in: rankings.
select
    model,
    dataset,
    setting,
    n_candidates,
    probe,
    method,
    variant,
    metric,
    "group",
    value,
    low,
    high,
    "lead",
    lead_low,
    lead_high,
    lists
from rankings
order by
    setting,
    n_candidates,
    probe,
    "group" <> '',
    "group" <> 'macro',
    "group",
    method <> 'first_stage',
    method,
    variant,
    metric
