-- Accuracy by number of candidates: one row per setting, method and N.
--   low, high  95 % bootstrap interval over questions
select
    setting,
    method,
    n,
    value,
    low,
    high
from metrics
where model = $model
    and dataset = $dataset
    and setting in (select unnest($settings))
    and probe = 'vanilla'
    and method in ('vanilla', 'pride', 'agd')
    and variant = ''
    and calibrated_on = dataset || '-' || setting
    and calibration_questions = $calibration_questions
    and metric = 'accuracy'
order by all
