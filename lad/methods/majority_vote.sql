-- Relation scores: how many of the heard orders led vanilla to the candidate that stands here, one row per presentation
-- and position. Relations in: vanilla_answers, observed_scores, signals, heard.
--   score  votes, and less than 1 for the candidate's place among equal votes
with
shown as (
    select
        presentation_id,
        generate_subscripts("order", 1)::integer as position,
        unnest("order") as candidate
    from signals
),

candidates as (
    select
        heard.presentation_id,
        shown.candidate,
        count(*) filter (where shown.position = vanilla_answers.position) as votes,
        -- Rounded, so that of equal means none wins because its terms were added in another order.
        round(avg(exp(observed_scores.log_probability)), 9) as probability
    from heard
    inner join shown on heard.heard = shown.presentation_id
    inner join observed_scores
        on shown.presentation_id = observed_scores.presentation_id and shown.position = observed_scores.position
    inner join vanilla_answers on shown.presentation_id = vanilla_answers.presentation_id
    group by heard.presentation_id, shown.candidate
),

ranked as (  -- among equal votes the more probable candidate, then the one with the lower number
    select
        presentation_id,
        candidate,
        votes,
        row_number() over (partition by presentation_id order by probability desc, candidate) as place,
        count(*) over (partition by presentation_id) as n_candidates
    from candidates
)

select
    shown.presentation_id,
    shown.position,
    ranked.votes + 1 - ranked.place / ranked.n_candidates as score
from shown
inner join ranked using (presentation_id, candidate)
