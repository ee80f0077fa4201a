-- Relation answers: the position with the largest score, the lowest of several, one row per presentation.
-- Relation in: scores.
with
listed as (
    select presentation_id, list(score order by position) as scores
    from scores
    group by presentation_id
)

select
    presentation_id,
    list_position(scores, list_max(scores)) as position,
    scores,
    null::double as parsed
from listed
