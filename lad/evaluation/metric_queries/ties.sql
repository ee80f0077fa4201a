-- Share of the answers whose score another position has as well; null where answers have no scores.
select
    method,
    variant,
    n_candidates,
    100.0 * avg((len(list_filter(scores, lambda score: score = scores[position])) > 1)::integer) as value
from predictions
group by method, variant, n_candidates
