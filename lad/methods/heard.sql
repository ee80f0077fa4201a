-- Relation heard: the presentations that an answer rests on, its own and the next ones of its question; behind the last
-- comes the first. One row per presentation and heard presentation. Relation in: signals. Parameter: $passes, how many
-- these are; null for all.
with
ranked as (
    select
        presentation_id,
        question_id,
        row_number() over (partition by question_id order by round, presentation_id) as place,
        count(*) over (partition by question_id) as orders
    from signals
)

select
    ranked.presentation_id,
    next.presentation_id as heard
from ranked
inner join ranked as next using (question_id)
where (next.place - ranked.place + ranked.orders) % ranked.orders < coalesce($passes, ranked.orders)
