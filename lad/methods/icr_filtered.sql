-- Relation scores: the attention that the query adds to the tokens that ICR's filter keeps, one row per presentation and
-- position. Relation in: signals.
select
    presentation_id,
    generate_subscripts(filtered_attention, 1)::integer as position,
    unnest(filtered_attention)::double as score
from signals
