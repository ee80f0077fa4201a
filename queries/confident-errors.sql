-- Where is the plain model most certain, and wrong?
-- probability: of the answer; of_target: of the right one, both in percent.
with answered as (
    select
        *,
        list_position(candidate_logprobs, list_max(candidate_logprobs)) as answer
    from signals
    where split = 'evaluation' and target_position is not null
)

select
    answered.model,
    answered.dataset,
    answered.setting,
    answered.n,
    answered.probe,
    answered.presentation_id,
    questions.caption,
    answered.target_position,
    answered.answer as answered,
    round(100 * exp(answered.candidate_logprobs[answered.answer]), 1) as probability,
    round(100 * exp(answered.candidate_logprobs[answered.target_position]), 1) as of_target
from answered
left join questions
    on answered.dataset = questions.dataset
    and answered.setting = questions.setting
    and answered.n = questions.n
    and answered.question_id = questions.question_id
where answered.answer <> answered.target_position
    -- in a window of a list, another candidate than the target may be right as well
    and coalesce(answered.relevance[answered.answer], 0) = 0
order by
    answered.candidate_logprobs[answered.answer] desc,
    answered.model,
    answered.dataset,
    answered.setting,
    answered.n,
    answered.probe,
    answered.presentation_id
limit 50;
