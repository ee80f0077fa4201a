-- Relation: the choices of all needed cells, as the table shows them. Relation in: choices.
select
    setting,
    n_candidates,
    method,
    variant,
    chooser,
    stopped,
    pool,
    questions,
    passes,
    accuracy,
    low,
    high,
    "lead",
    lead_low,
    lead_high
from choices
order by
    n_candidates,
    stopped,
    case when stopped then 0 else questions end,
    list_position(['random', 'first', 'disagreement', 'uncertainty', 'null'], chooser),
    list_position(['pride', 'purified_attention', 'agd', 'fusion'], method),
    variant
