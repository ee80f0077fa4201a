-- Chi-squared of the answers' positions against chance, with N - 1 degrees of freedom: the statistic itself, which grows
-- with the number of answers. Targets are balanced as for cramers_v. It has no p-value: the orders of one question are not
-- independent, so that a textbook's would be too small; the interval of cramers_v, over questions, says what is chance.
with answers as (
    select method, variant, n_candidates, target_position, position, count(position) as answered
    from predictions
    group by method, variant, n_candidates, target_position, position
),

rates as (
    select
        method,
        variant,
        n_candidates,
        target_position,
        position,
        answered,
        answered / sum(answered) over (partition by method, variant, n_candidates, target_position) as rate
    from answers
),

shares as (
    select
        method,
        variant,
        n_candidates,
        position,
        sum(answered) as answered,
        sum(rate order by target_position) / n_candidates as share
    from rates
    group by method, variant, n_candidates, position
)

select
    method,
    variant,
    n_candidates,
    -- A position that is never answered is no row: its distance from chance is 1/N.
    case
        when abs(sum(share) filter (where position is not null) - 1) < 1e-9 then sum(answered) * (
            n_candidates * sum((share - 1 / n_candidates) ** 2 order by position) filter (where position is not null)
            + (n_candidates - count(position)) / n_candidates
        )
    end as value
from shares
group by method, variant, n_candidates
