-- How often is each method right, with 95 % intervals?
-- After calibration on the usual number of the cell's own questions, so that each method stands there once.
select
    model,
    dataset,
    setting,
    n,
    probe,
    method,
    variant,
    round(value, 1) as accuracy,
    round(low, 1) as low,
    round(high, 1) as high
from metrics
where metric = 'accuracy'
    and calibration_dataset = dataset
    and calibration_setting = setting
    and calibration_split = 'calibration'
    and calibration_set = 1
qualify calibration_questions = mode(calibration_questions) over ()
order by model, dataset, setting, n, probe, value desc, method, variant;
