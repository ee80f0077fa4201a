-- Relation text_positions: k of "The answer is k", else the last index in the text, null where there is neither or k is
-- no index. One row per text. Relation in: readable_texts. Parameter: $parse. By 'integers' the last such statement
-- counts, in any case, with marks and the words image, index ... before k; by 'released' the first, to the letter.
with
found as (
    select
        presentation_id,
        sample,
        n_candidates,
        case $parse
            when 'integers' then regexp_extract_all(
                text,
                '(?i)the answer is[^[:alnum:]]*'
                || '(?:(?:the|image|index|number|option|candidate|boxed)[^[:alnum:]]*)*([0-9]+)',
                1
            )[-1]
            when 'released' then regexp_extract_all(text, '[Tt]he answer is ([0-9]+)', 1)[1]
        end as stated,
        regexp_extract_all(text, '[0-9]+') as numbers
    from readable_texts
)

select
    presentation_id,
    sample,
    list_filter(
        list_transform(
            case when stated is null then numbers else [stated] end,
            lambda digits: try_cast(digits as integer)
        ),
        lambda number: number between 1 and n_candidates
    )[-1] as position
from found
