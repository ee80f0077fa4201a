-- How often is each method right where the target stands at each position, with 95 % intervals?
select
    model,
    dataset,
    setting,
    n,
    probe,
    method,
    variant,
    target_position,
    round(value, 1) as recall,
    round(low, 1) as low,
    round(high, 1) as high
from metrics
where metric = 'recall'
    and calibration_dataset = dataset
    and calibration_setting = setting
    and calibration_split = 'calibration'
    and calibration_set = 1
qualify calibration_questions = mode(calibration_questions) over ()
order by all;
