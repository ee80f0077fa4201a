-- Relation scores: how many orders of the question led vanilla to the candidate that stands here, one row per
-- presentation and position. Relations in: vanilla_answers, observed_scores, signals.
--   score  votes, and less than 1 for the candidate's place among equal votes
with
shown as (
    select
        presentation_id,
        question_id,
        generate_subscripts("order", 1)::integer as position,
        unnest("order") as candidate
    from signals
),

candidates as (
    select
        shown.question_id,
        shown.candidate,
        count(*) filter (where shown.position = vanilla_answers.position) as votes,
        -- Rounded, so that of equal means none wins because its terms were added in another order.
        round(avg(exp(observed_scores.log_probability)), 9) as probability
    from shown
    inner join observed_scores using (presentation_id, position)
    inner join vanilla_answers using (presentation_id)
    group by shown.question_id, shown.candidate
),

ranked as (  -- among equal votes the more probable candidate, then the one with the lower number
    select
        question_id,
        candidate,
        votes,
        row_number() over (partition by question_id order by probability desc, candidate) as place,
        count(*) over (partition by question_id) as n_candidates
    from candidates
)

select
    shown.presentation_id,
    shown.position,
    ranked.votes + 1 - ranked.place / ranked.n_candidates as score
from shown
inner join ranked using (question_id, candidate)
