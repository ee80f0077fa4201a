-- Identifier logits of the presentations of one cell, centred on their own mean (softmax ignores a constant).
--   rank      place among the presentations with the same target position, so that a few can be drawn
--   position  which identifier
--   logit     its raw logit minus the mean over the presentation's N identifiers
with asked as (
    select
        n,
        target_position,
        identifier_logits,
        list_avg(identifier_logits) as mean_logit,
        row_number() over (partition by target_position order by round, presentation_id) as rank
    from signals
    -- null in windows of lists without a right candidate
    where target_position is not null
),

centred as (
    select
        target_position,
        rank,
        unnest(range(1, n + 1))::integer as position,
        unnest(identifier_logits) - mean_logit as logit
    from asked
)

select * from centred
order by target_position, rank, position
