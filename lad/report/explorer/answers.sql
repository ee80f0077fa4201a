-- What each method answers in these orders; methods that answer other orders (all cyclic shifts, say) are left out.
--   question   place of the question in questions.sql, from 0
--   candidate  the answer in question order, 0 where none could be read
with asked as (
    select
        question_id,
        row_number() over (order by rank, question_id) - 1 as question
    from questions
    where question_id in (select question_id from signals)
)

select
    predictions.method,
    predictions.variant,
    asked.question,
    predictions.round,
    coalesce(predictions.candidate, 0) as candidate
from predictions
join asked using (question_id)
where predictions.presentation_id in (select presentation_id from signals)
order by predictions.method, predictions.variant, asked.question, predictions.round
