-- Relation answers: the last index in the first text of each presentation, null where there is none. One row per
-- presentation. Relation in: readable_texts. Parameter: $parse. By 'integers' the answer is what stands behind the last
-- </think>; the reasoning before it is searched only where no number at all stands there. By 'released' it is searched too.
with
parts as (
    select
        presentation_id,
        n_candidates,
        text,
        case
            when $parse = 'integers' and contains(text, '</think>') then string_split(text, '</think>')[-1]
        end as answer
    from readable_texts
    qualify sample = min(sample) over (partition by presentation_id)
),

numbers as (
    select
        presentation_id,
        n_candidates,
        regexp_extract_all(case when regexp_matches(answer, '[0-9]') then answer else text end, '[0-9]+') as numbers
    from parts
),

text_positions as (
    select
        presentation_id,
        list_filter(
            list_transform(numbers, lambda digits: try_cast(digits as integer)),
            lambda number: number between 1 and n_candidates
        )[-1] as position
    from numbers
)

select
    presentation_id,
    position,
    null::double[] as scores,
    (position is not null)::integer::double as parsed
from text_positions
