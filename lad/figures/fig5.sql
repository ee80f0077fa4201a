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
    and calibration_dataset = dataset
    and calibration_setting = setting
    and calibration_split = 'calibration'
    and calibration_set = 1
    and calibration_questions = $calibration_questions
    and metric = 'accuracy'
order by all
