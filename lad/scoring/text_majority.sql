-- Relation answers: the position that most texts of a presentation name, the one named first of several, one row per
-- presentation. Relations in: text_positions, signals. Parameter: $failed, the answer where no text names any: 'none',
-- or 'first' for position 1.
--   scores  share of each position among the votes; null where there are none
--   parsed  share of the texts that name a position
with
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
