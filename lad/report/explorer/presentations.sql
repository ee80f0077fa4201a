-- What the model said and where it looked, one row per presentation; the attention of the first questions alone.
--   question       place of the question in questions.sql, from 0
--   probabilities  of each position; they sum to 1
--   last, query, suffix                    layer x position, flat; layers without attention are left out
--   last_heads, query_heads, suffix_heads  layer x head x position, flat
with asked as (
    select
        question_id,
        row_number() over (order by rank, question_id) - 1 as question
    from questions
    where question_id in (select question_id from signals)
)

select
    asked.question,
    signals.round,
    signals."order",
    list_transform(signals.candidate_logprobs, lambda x: exp(x)) as probabilities,
    case when asked.question < $with_layers then flatten(signals.candidate_attention) end as last,
    case when asked.question < $with_layers then flatten(signals.query_attention) end as query,
    case when asked.question < $with_layers then flatten(signals.suffix_attention) end as suffix,
    case when asked.question < $with_heads then flatten(flatten(signals.head_attention)) end as last_heads,
    case when asked.question < $with_heads then flatten(flatten(signals.head_query_attention)) end as query_heads,
    case when asked.question < $with_heads then flatten(flatten(signals.head_suffix_attention)) end as suffix_heads
from signals
join asked using (question_id)
order by asked.question, signals.round
