-- How often do two methods give the same answer?
-- both_right, only_first, only_second and both_wrong: percent of the presentations; methods with their default options.
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
    one.model,
    one.dataset,
    one.setting,
    one.n,
    one.probe,
    one.method as first,
    two.method as second,
    round(100.0 * avg((one.position = two.position)::integer), 1) as same_answer,
    round(100.0 * avg((one.correct and two.correct)::integer), 1) as both_right,
    round(100.0 * avg((one.correct and not two.correct)::integer), 1) as only_first,
    round(100.0 * avg((two.correct and not one.correct)::integer), 1) as only_second,
    round(100.0 * avg((not one.correct and not two.correct)::integer), 1) as both_wrong
from answers as one
inner join answers as two using (model, dataset, setting, n, probe, presentation_id)
where one.method < two.method
group by all
order by one.model, one.dataset, one.setting, one.n, one.probe, same_answer, first, second;
