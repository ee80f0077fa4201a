-- Relation text_positions: the last index in each text of reasoning, null where there is none. One row per text.
-- Relation in: readable_texts. Parameter: $parse. By 'integers' the answer is what stands behind the last </think>; the
-- reasoning before it is searched only where no number at all stands there. By 'released' it is searched as well.
with
parts as (
    select
        presentation_id,
        sample,
        n_candidates,
        text,
        case
            when $parse = 'integers' and contains(text, '</think>') then string_split(text, '</think>')[-1]
        end as answer
    from readable_texts
),

numbers as (
    select
        presentation_id,
        sample,
        n_candidates,
        regexp_extract_all(case when regexp_matches(answer, '[0-9]') then answer else text end, '[0-9]+') as numbers
    from parts
)

select
    presentation_id,
    sample,
    list_filter(
        list_transform(numbers, lambda digits: try_cast(digits as integer)),
        lambda number: number between 1 and n_candidates
    )[-1] as position
from numbers
