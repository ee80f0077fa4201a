-- The evaluation questions that were asked, in their order.
--   target     the candidate that is right, 0 where that is unknown, and in a window of a list where none is
--   relevance  the grade of each candidate, in a window of a list
select
    question_id,
    caption,
    candidates,
    coalesce(target, 0) as target,
    relevance
from questions
where question_id in (select question_id from signals)
order by rank, question_id
