-- Share of the questions shown more than once whose answers were all the same candidate; null where none was.
-- A question with an order that has no answer is not consistent.
with questions_shown as (
    select
        method,
        variant,
        n_candidates,
        count(*) > 1 as repeated,
        count(candidate) = count(*) and count(distinct candidate) = 1 as consistent
    from predictions
    group by method, variant, n_candidates, question_id
)

select method, variant, n_candidates, 100.0 * avg(consistent::integer) filter (where repeated) as value
from questions_shown
group by method, variant, n_candidates
