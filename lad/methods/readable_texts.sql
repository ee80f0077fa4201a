-- Relation readable_texts: generated texts in which every number that is left may be an index, one row per text.
-- Relations in: generations, signals. Parameter: $parse, which numbers are: 'released', every run of digits, or
-- 'integers', those that stand for a whole number by themselves. The others become 'x', a word like any other.
with
texts as (
    select generations.presentation_id, generations.sample, signals.n_candidates, generations.text
    from generations
    inner join signals using (presentation_id)
),

without_decimals as (  -- 3.5; but 3. ends a sentence
    select * replace (regexp_replace(text, '[0-9]+([.][0-9]+)+', 'x', 'g') as text)
    from texts
),

without_negatives as (  -- -3; but the hyphen of image-3 and 1-3 is no sign
    select * replace (regexp_replace(text, '(^|[^[:alnum:]])-[0-9]+', '\1x', 'g') as text)
    from without_decimals
),

without_percentages as (
    select * replace (regexp_replace(text, '[0-9]+\s?%', 'x', 'g') as text)
    from without_negatives
),

ordinals_as_integers as (  -- the 3rd image is image 3
    select * replace (regexp_replace(text, '([0-9])(st|nd|rd|th)\b', '\1', 'gi') as text)
    from without_percentages
),

integers as (  -- 3D; but image3 names image 3
    select * replace (regexp_replace(text, '[0-9]+([[:alpha:]])', 'x\1', 'g') as text)
    from ordinals_as_integers
)

select * from texts
where $parse = 'released'
union all
select * from integers
where $parse = 'integers'
