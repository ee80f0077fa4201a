-- Relation scores: the attention read-out less that of a presentation without content, one row per presentation and
-- position. Relations in: chosen_layers; content_free_attention, by layer and position.
select
    chosen_layers.presentation_id,
    chosen_layers.position,
    avg(chosen_layers.attention - content_free_attention.attention) as score
from chosen_layers
inner join content_free_attention using (layer, position)
group by chosen_layers.presentation_id, chosen_layers.position
