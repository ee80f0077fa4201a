-- Relation answers: the position that the generated text names, null where it names none. One row per presentation.
-- Relation in: signals. Parameters: $identifiers, that of each position; $read.
--
-- A word is a run of digits or of letters, without leading zeros. Identifiers are looked for as written, and where none
-- stands in the text, without regard to case. By 'last', the last word that is one counts. By 'careful', words that look
-- like an identifier and are none go first (3.5, -3, the article a, the pronoun I, what stands behind "not" ...); of
-- those left counts the one that is called the answer, else the one that the text begins with, else the one that is
-- called an image or the like, else the last.
with
texts as (
    select presentation_id, coalesce(generated_text, '') as text
    from signals
),

-- In each step 'other' is a word that is no identifier (x would be Roman for 10).
without_counts as (  -- 2/12, 2 of 12: the second number counts all
    select * replace (regexp_replace(text, '\b([0-9]+)\s*(/|of|out of)\s*[0-9]+\b', '\1', 'gi') as text)
    from texts
),

without_other_numbers as (  -- 3.5, -3, 3 %, 3D; but 3. ends a sentence, and image-3 and image3 name image 3
    select * replace (
        regexp_replace(
            regexp_replace(
                regexp_replace(text, '[0-9]+([.,][0-9]+)+(\s?%)?|[0-9]+\s?%|\b[0-9]+[[:alpha:]]+', 'other', 'g'),
                '(^|[^[:alnum:]])[-−–][0-9]+', '\1other', 'g'
            ),
            '([[:alpha:]])([0-9])', '\1 \2', 'g'
        ) as text
    )
    from without_counts
),

without_denials as (  -- not image 2
    select * replace (
        regexp_replace(
            text, '\b(not|than|except|neither|nor)\s+((the|an?|image|picture|photo|text|option|number)\s+)*[[:alnum:]]+',
            'other', 'gi'
        ) as text
    )
    from without_other_numbers
),

without_choices as (  -- 1 or 2
    select * replace (regexp_replace(text, '\b[[:alnum:]]+\s+or\s+[[:alnum:]]+\b', 'other', 'gi') as text)
    from without_denials
),

without_pronouns as (  -- I think, I'd say; but "I is right", "I, because"
    select * replace (
        regexp_replace(
            text,
            '\bI([''’]|\s+(a?m|think|believe|guess|see|choose|chose|would|will|can|could|cannot|have|know|do|don|say|say'
            || 's|select|pick|picked|found|find|suppose|assume|feel|need|want|was|apologi[sz]e)\b)', 'other ', 'gi'
        ) as text
    )
    from without_choices
),

without_articles as (  -- a cat; but "A is right", "a because"
    select * replace (
        regexp_replace(
            regexp_replace(
                text,
                '\b(a)\s+(is|was|shows?|fits?|match(?:es)?|best|because|since|as|and|with|seems|looks|appears|has|contains'
                || '|depicts|describes)\b', '\1, \2', 'gi'
            ),
            '\ba(\s+[[:alpha:]])', 'other\1', 'gi'
        ) as text
    )
    from without_pronouns
),

careful as (  -- what stands at a place that says so, one text each
    select
        presentation_id,
        unnest([
            regexp_extract_all(
                text, '\b(?:answer|choice|solution)\b(?:\s+(?:is|would be|should be))?\s*[:=]?\s*'
                || '(?:(?:the|image|picture|photo|text|option|number|index|letter|no)\b[.:]?\s*)*[("''*#]*([[:alnum:]]+)', 1, 'i'
            )[-1],
            regexp_extract(text, '^[^[:alnum:]]*([[:alnum:]]+)\s*(?:$|[^[:alnum:][:space:]]|\n|(?:is|was|shows?|fits?|match(?:es)?'
                || '|because|since|as|best)\b)', 1, 'i'),
            regexp_extract(text, '\b(?:image|picture|photo|text|option|candidate|number|index|letter|no)\b[.:]?\s*[("''*#]*'
                || '([[:alnum:]]+)', 1, 'i'),
            text
        ]) as text,
        unnest([1, 2, 3, 4]) as rank
    from without_articles
),

places as (
    select * from careful where $read = 'careful'
    union all
    select presentation_id, text, 1 as rank from texts where $read = 'last'
),

words as (
    select
        presentation_id,
        rank,
        list_transform(
            regexp_extract_all(coalesce(text, ''), '[0-9]+|[[:alpha:]]+'), lambda word: ltrim(word, '0')
        ) as words,
        list_transform($identifiers::varchar[], lambda identifier: lower(identifier)) as lower_identifiers
    from places
),

found as (
    select
        presentation_id,
        rank,
        list_filter(
            list_transform(words, lambda word: list_position($identifiers::varchar[], word)),
            lambda place: place is not null
        )[-1] as exact,
        list_filter(
            list_transform(words, lambda word: list_position(lower_identifiers, lower(word))),
            lambda place: place is not null
        )[-1] as regardless_of_case
    from words
),

answers as (
    select
        presentation_id,
        coalesce(
            arg_min(exact, rank) filter (exact is not null),
            arg_min(regardless_of_case, rank) filter (regardless_of_case is not null)
        ) as position
    from found
    group by presentation_id
)

select
    presentation_id,
    position,
    null::double[] as scores,
    (position is not null)::integer::double as parsed
from answers
