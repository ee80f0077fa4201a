-- Share of the pairs of orders of one question whose answers are two candidates. At N = 2: of the questions whose answer
-- changes when the two candidates change places. Pairs are pooled over questions; presentations without an answer are
-- left out. Unlike consistency, it does not depend on how many orders were shown. null where no question has two answers.
with answers as (
    select method, variant, n_candidates, question_id, candidate, count(*) as times
    from predictions
    group by method, variant, n_candidates, question_id, candidate
),

pairs as (
    select
        method,
        variant,
        n_candidates,
        coalesce(sum(times) filter (where candidate is not null), 0) as answered,
        coalesce(sum(times * (times - 1) / 2) filter (where candidate is not null), 0) as same
    from answers
    group by method, variant, n_candidates, question_id
)

select
    method,
    variant,
    n_candidates,
    100.0 * (1 - sum(same) / nullif(sum(answered * (answered - 1) / 2), 0)) as value
from pairs
group by method, variant, n_candidates
