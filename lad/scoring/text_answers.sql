-- Relation answers: the position that the first text of each presentation names, one row per presentation.
-- Relation in: text_positions.
select
    presentation_id,
    position,
    null::double[] as scores,
    (position is not null)::integer::double as parsed
from text_positions
qualify sample = min(sample) over (partition by presentation_id)
