-- Which questions does the model answer wrongly although its attention is on the target?
-- Attention is purified attention, after calibration; orders: in how many orders of the question that happens.
with answers as (
    select *
    from predictions
    where variant = ''
        and calibration_dataset = dataset
        and calibration_setting = setting
        and calibration_split = 'calibration'
        and calibration_set = 1
    qualify calibration_questions = mode(calibration_questions) over ()
),

wrong as (
    select * from answers
    where method = 'vanilla' and not correct
),

looked as (
    select * from answers
    where method = 'purified_attention' and correct
)

select
    wrong.model,
    wrong.dataset,
    wrong.setting,
    wrong.n,
    wrong.probe,
    wrong.question_id,
    questions.caption,
    count(*) as orders,
    list(wrong.target_position order by wrong.round) as target_positions,
    list(wrong.position order by wrong.round) as answered
from wrong
inner join looked using (model, dataset, setting, n, probe, presentation_id)
left join questions
    on wrong.dataset = questions.dataset
    and wrong.setting = questions.setting
    and wrong.n = questions.n
    and wrong.question_id = questions.question_id
group by all
order by orders desc, wrong.model, wrong.dataset, wrong.setting, wrong.n, wrong.probe, wrong.question_id
limit 50;
