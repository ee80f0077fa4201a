-- For how many questions does another order change the answer?
-- Of the questions that were shown more than once and answered each time; candidates: different answers, at most.
with answers as (
    select *
    from predictions
    where calibration_dataset = dataset
        and calibration_setting = setting
        and calibration_split = 'calibration'
        and calibration_set = 1
    qualify calibration_questions = mode(calibration_questions) over ()
),

questions_shown as (
    select
        model,
        dataset,
        setting,
        n,
        probe,
        method,
        variant,
        question_id,
        count(distinct candidate) as candidates
    from answers
    group by model, dataset, setting, n, probe, method, variant, question_id
    having count(*) > 1 and count(candidate) = count(*)
)

select
    model,
    dataset,
    setting,
    n,
    probe,
    method,
    variant,
    count(*) as questions,
    count(*) filter (where candidates > 1) as changed,
    round(100.0 * avg((candidates > 1)::integer), 1) as percent,
    max(candidates) as candidates
from questions_shown
group by all
order by model, dataset, setting, n, probe, percent, method, variant;
