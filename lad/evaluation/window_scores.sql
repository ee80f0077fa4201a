-- Relation window_scores: what a method says of a list in one round, all windows together.
-- Relations in: predictions, presentations, questions (with list_id), lists.
--   windows  the questions that are windows of the list, by id
--   places   places of the candidates in first-stage order, from 1; those of one window after the other
--   scores   of these candidates in their windows. Where an answer alone is known: 1 for it, 0 for the others
with said as (
    select
        predictions.method,
        predictions.variant,
        predictions.n_candidates,
        predictions.round,
        questions.list_id,
        questions.question_id,
        unnest(list_transform(
            presentations."order",
            lambda candidate: list_position(lists.candidates, questions.candidates[candidate])
        )) as place,
        unnest(coalesce(
            predictions.scores,
            list_transform(
                range(1, predictions.n_candidates + 1),
                lambda p: coalesce(p = predictions.position, false)::integer::double
            )
        )) as score
    from predictions
    inner join presentations using (presentation_id)
    inner join questions on predictions.question_id = questions.question_id
    inner join lists using (list_id)
)

select
    method,
    variant,
    n_candidates,
    list_id,
    round,
    list_sort(list(distinct question_id)) as windows,
    list(place order by question_id, place) as places,
    list(score order by question_id, place) as scores
from said
group by method, variant, n_candidates, list_id, round
order by list_id, method, variant, n_candidates, round
