-- How unevenly positions are answered: Cramer's V against chance, 0 (equally often) to 1 (always the same position).
-- The sample's V is above 0 by chance alone; its interval allows for that. (chi_squared divided by its largest value.)
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
        answered / sum(answered) over (partition by method, variant, n_candidates, target_position) as rate
    from answers
),

-- The answers' positions as if the target had stood everywhere equally often: a method that is always right has V = 0
-- however its targets stand. Where the target never stood somewhere, the shares do not add up to 1, and V is null.
shares as (
    select method, variant, n_candidates, position, sum(rate order by target_position) / n_candidates as share
    from rates
    group by method, variant, n_candidates, position
)

select
    method,
    variant,
    n_candidates,
    -- A position that is never answered is no row: its distance from chance is 1/N.
    case
        when abs(sum(share) filter (where position is not null) - 1) < 1e-9 then sqrt((
            n_candidates * sum((share - 1 / n_candidates) ** 2 order by position) filter (where position is not null)
            + (n_candidates - count(position)) / n_candidates
        ) / (n_candidates - 1))
    end as value
from shares
group by method, variant, n_candidates
