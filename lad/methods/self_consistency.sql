-- Relation answers: the position that most texts of a presentation name, the one named first of several, one row per
-- presentation. Relations in: readable_texts, signals. Parameters: $parse, how a text names a position; $failed, the answer
-- where no text names any: 'none', or 'first' for position 1.
--   scores  share of each position among the votes; null where there are none
--   parsed  share of the texts that name a position
-- A text names k of "The answer is k", else its last index, and none where there is neither or k is no index. By 'integers'
-- the last such statement counts, in any case, with marks and the words image, index ... before k; by 'released' the first,
-- to the letter.
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
),

text_positions as (  -- one row per text
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
),

texts as (
    select presentation_id, count(*) as texts, count(position) as votes
    from text_positions
    group by presentation_id
),

candidates as (
    select presentation_id, unnest(generate_series(1, n_candidates))::integer as position
    from signals
),

counted as (
    select
        candidates.presentation_id,
        candidates.position,
        count(text_positions.sample) as votes,
        min(text_positions.sample) as first_sample
    from candidates
    left join text_positions using (presentation_id, position)
    group by candidates.presentation_id, candidates.position
),

majorities as (
    select
        presentation_id,
        arg_min(position, {'fewer': -votes, 'later': first_sample}) filter (where votes > 0) as position,
        list(votes order by position) as votes_by_position
    from counted
    group by presentation_id
)

select
    texts.presentation_id,
    coalesce(majorities.position, case $failed when 'first' then 1 end) as position,
    case
        when texts.votes > 0 then list_transform(majorities.votes_by_position, lambda votes: votes / texts.votes)
    end as scores,
    texts.votes / texts.texts as parsed
from texts
inner join majorities using (presentation_id)
