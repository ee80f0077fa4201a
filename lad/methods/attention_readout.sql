-- Relation scores: the attention read-out without any prior, one row per presentation and position. Eq. 6.
-- Relation in: chosen_layers.
select
    presentation_id,
    position,
    avg(attention) as score
from chosen_layers
group by presentation_id, position
