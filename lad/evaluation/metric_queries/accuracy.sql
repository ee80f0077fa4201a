-- Share of right answers: the mean over the orders, with their sample standard deviation as std.
with rounds as (
    select method, variant, n_candidates, round, 100.0 * avg(correct::integer) as accuracy
    from predictions
    group by method, variant, n_candidates, round
)

select method, variant, n_candidates, avg(accuracy) as value, stddev_samp(accuracy) as std
from rounds
group by method, variant, n_candidates
