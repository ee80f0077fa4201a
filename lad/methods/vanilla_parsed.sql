-- Relation answers: the position of the last identifier in the generated text, null where there is none.
-- One row per presentation. Relation in: signals. Parameter: $identifiers, that of each position.
-- A word is a run of digits or of letters, without leading zeros. A text that holds no identifier as written
-- is searched again without regard to case.
with
words as (
    select
        presentation_id,
        list_transform(
            regexp_extract_all(coalesce(generated_text, ''), '[0-9]+|[[:alpha:]]+'),
            lambda word: ltrim(word, '0')
        ) as words,
        list_transform($identifiers::varchar[], lambda identifier: lower(identifier)) as lower_identifiers
    from signals
),

found as (
    select
        presentation_id,
        list_filter(
            list_transform(words, lambda word: list_position($identifiers::varchar[], word)),
            lambda place: place is not null
        ) as exact,
        list_filter(
            list_transform(words, lambda word: list_position(lower_identifiers, lower(word))),
            lambda place: place is not null
        ) as regardless_of_case
    from words
)

select
    presentation_id,
    coalesce(exact[-1], regardless_of_case[-1]) as position,
    null::double[] as scores,
    (position is not null)::integer::double as parsed
from found
