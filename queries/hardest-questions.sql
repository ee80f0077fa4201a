-- Which questions do most methods answer wrongly in most orders?
with answers as (
    select *
    from predictions
    where variant = ''
        and calibration_dataset = dataset
        and calibration_setting = setting
        and calibration_split = 'calibration'
        and calibration_set = 1
        -- null where the target is unknown, and in windows of lists without a right candidate
        and target_position is not null
    qualify calibration_questions = mode(calibration_questions) over ()
)

select
    answers.model,
    answers.dataset,
    answers.setting,
    answers.n,
    answers.probe,
    answers.question_id,
    questions.caption,
    count(distinct answers.method) as methods,
    round(100.0 * avg((not answers.correct)::integer), 1) as wrong
from answers
left join questions
    on answers.dataset = questions.dataset
    and answers.setting = questions.setting
    and answers.n = questions.n
    and answers.question_id = questions.question_id
group by all
order by wrong desc, answers.model, answers.dataset, answers.setting, answers.n, answers.probe, answers.question_id
limit 50;
