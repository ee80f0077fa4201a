-- Relation answers: the position that the model answered, the most probable one or the one known as answered, the lowest
-- of several. One row per presentation. Relation in: observed_scores, where an answer that is known alone is 0 and all
-- other positions are minus infinity: these are no scores. No position is answered where all of them are.
with
listed as (
    select presentation_id, list(score order by position) as scores
    from observed_scores
    group by presentation_id
)

select
    presentation_id,
    case when list_max(scores) > '-infinity'::double then list_position(scores, list_max(scores)) end as position,
    case when list_min(scores) > '-infinity'::double then scores end as scores,
    null::double as parsed
from listed
