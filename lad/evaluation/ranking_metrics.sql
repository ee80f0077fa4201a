-- Relation ranking_metrics: how well each list is ordered, in percent, the mean over the rounds.
-- Relations in: strengths (of the candidates of lists, by method, variant, N and round), lists.
-- Of equal strengths the first stage decides. What is relevant but not listed counts as not found.
with ranked as (
    select
        strengths.method,
        strengths.variant,
        strengths.n_candidates,
        strengths.list_id,
        strengths.round,
        lists."group",
        lists.ideal,
        lists.relevance[strengths.place] as grade,
        row_number() over (
            partition by
                strengths.method, strengths.variant, strengths.n_candidates, strengths.list_id, strengths.round
            order by strengths.strength desc, strengths.place
        ) as rank
    from strengths
    inner join lists using (list_id)
),

measured as (
    select
        method,
        variant,
        n_candidates,
        list_id,
        round,
        any_value("group") as "group",
        len(any_value(ideal)) as relevant,
        count(*) filter (where grade > 0 and rank <= 1) as found_1,
        count(*) filter (where grade > 0 and rank <= 5) as found_5,
        count(*) filter (where grade > 0 and rank <= 10) as found_10,
        coalesce(max(1 / rank) filter (where grade > 0 and rank <= 10), 0) as reciprocal,
        coalesce(sum(grade / log2(rank + 1) order by rank) filter (where rank <= 10), 0) as gain,
        list_sum(list_transform(any_value(ideal)[:10], lambda grade, rank: grade / log2(rank + 1))) as ideal_gain
    from ranked
    group by method, variant, n_candidates, list_id, round
)

select
    method,
    variant,
    n_candidates,
    list_id,
    any_value("group") as "group",
    100 * avg(found_1 / relevant order by round) as recall_at_1,
    100 * avg(found_5 / relevant order by round) as recall_at_5,
    100 * avg(found_10 / relevant order by round) as recall_at_10,
    100 * avg(found_1 order by round) as hit_at_1,
    100 * avg(reciprocal order by round) as mrr_at_10,
    100 * avg(gain / ideal_gain order by round) as ndcg_at_10
from measured
group by method, variant, n_candidates, list_id
order by method, variant, n_candidates, list_id
