-- At N = 2, of the questions answered in both orders: the share answered with position 2 both times, minus the share
-- answered with position 1 both times. 0 is fair, -100 is the first whatever it shows, 100 the second; flip_rate is the
-- sum of the two shares. The name and the sign are those of arXiv 2406.07791, which weighs and rescales the counts.
with questions_shown as (
    select
        method,
        variant,
        n_candidates,
        case
            when count(*) <> 2 or count(position) <> 2 or count(distinct target_position) <> 2 then null
            when min(position) = max(position) then 2 * min(position) - 3
            else 0
        end as preferred
    from predictions
    where n_candidates = 2
    group by method, variant, n_candidates, question_id
)

select method, variant, n_candidates, 100.0 * avg(preferred) as value
from questions_shown
group by method, variant, n_candidates
