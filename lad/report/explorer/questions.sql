-- The evaluation questions that were asked, in their order.
--   target  the candidate that is right, 0 where that is unknown
select
    question_id,
    caption,
    candidates,
    coalesce(target, 0) as target
from questions
where question_id in (select question_id from signals)
order by rank, question_id
