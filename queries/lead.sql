-- By how many points is each method ahead of the plain model, with 95 % intervals?
-- The difference is paired: both answer the same questions. beats: the whole interval lies above 0.
select
    model,
    dataset,
    setting,
    n,
    probe,
    method,
    variant,
    round(value, 1) as points,
    round(low, 1) as low,
    round(high, 1) as high,
    low > 0 as beats
from differences
where metric = 'accuracy'
    and against = 'vanilla'
    and against_variant = ''
    and calibration_dataset = dataset
    and calibration_setting = setting
    and calibration_split = 'calibration'
    and calibration_set = 1
qualify calibration_questions = mode(calibration_questions) over ()
order by model, dataset, setting, n, probe, value desc, method, variant;
