-- Share of the generated texts from which an answer could be read; of other methods, of the presentations with an answer.
select
    method,
    variant,
    n_candidates,
    100.0 * avg(coalesce(parsed, (position is not null)::integer)) as value
from predictions
group by method, variant, n_candidates
