-- Sample standard deviation of recall over the positions that the target had: 0 where all are answered equally well.
with recalls as (
    select method, variant, n_candidates, target_position, 100.0 * sum(correct::integer) / count(*) as recall
    from predictions
    group by method, variant, n_candidates, target_position
)

select method, variant, n_candidates, stddev_samp(recall order by target_position) as value
from recalls
group by method, variant, n_candidates
