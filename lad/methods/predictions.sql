-- Relation predictions: the answer beside the truth, one row per answer.
-- Relations in: answers, signals (relevance null where there is none). Parameters: $method and $variant, what answered.
--   candidate  the candidate shown at the answered position
--   correct    of a window of a list, whether the answer has a grade above 0; else whether it is the target. False where
--              no answer could be parsed, null where the target is unknown
select
    signals.presentation_id,
    signals.question_id,
    signals.round,
    $method as method,
    $variant as variant,
    signals.n_candidates,
    answers.position,
    signals.target_position,
    signals."order"[answers.position] as candidate,
    case
        when signals.relevance is not null then coalesce(signals.relevance[answers.position] > 0, false)
        when signals.target_position is not null then coalesce(answers.position = signals.target_position, false)
    end as correct,
    answers.scores,
    answers.parsed
from answers
inner join signals using (presentation_id)
order by signals.question_id, signals.round, signals.presentation_id
