-- A few questions of one cell as the model saw them: one row per question and position, each in its first order.
--   kind       what the question is an example of, by whether vanilla and AGD answered it right
--   share      percent of all questions (in their first order) that are of this kind
--   file_name  the image at this position
--   answered   methods that named this position
with answers as (
    select
        presentation_id,
        question_id,
        method,
        position,
        correct
    from predictions
    where method in ('vanilla', 'purified_attention', 'agd')
        and variant = ''
        and round = 0
),

kinds as (
    select
        question_id,
        presentation_id,
        case
            when not vanilla and agd then 'corrected by AGD'
            when not agd and vanilla then 'spoilt by AGD'
            when not agd then 'both wrong'
            else 'both right'
        end as kind
    from (
        select
            question_id,
            presentation_id,
            bool_and(correct) filter (method = 'vanilla') as vanilla,
            bool_and(correct) filter (method = 'agd') as agd
        from answers
        group by question_id, presentation_id
    )
),

ranked as (
    select
        *,
        row_number() over (partition by kind order by question_id) as rank,
        100.0 * count(*) over (partition by kind) / count(*) over () as share
    from kinds
),

shown as (
    select
        ranked.kind,
        ranked.rank,
        ranked.share,
        ranked.presentation_id,
        questions.caption,
        questions.candidates,
        questions.target,
        unnest(presentations.order) as candidate,
        unnest(range(1, questions.n + 1))::integer as position
    from ranked
    join presentations using (presentation_id)
    join questions on questions.question_id = ranked.question_id
    where ranked.rank <= $most
),

named as (
    select
        presentation_id,
        position,
        list(method order by method) as methods
    from answers
    where position is not null
    group by presentation_id, position
)

select
    shown.kind,
    shown.rank,
    shown.share,
    shown.caption,
    shown.position,
    shown.candidate = shown.target as is_target,
    images.file_name,
    coalesce(named.methods, []) as answered
from shown
join images on images.image_id = shown.candidates[shown.candidate]
left join named using (presentation_id, position)
order by shown.kind, shown.rank, shown.position
