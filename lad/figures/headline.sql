-- What the report says first: one row per cell and method, the cell nearest to eight random candidates on top.
--   value          accuracy in percent
--   presentations  how many answers each accuracy is a mean of
select
    n,
    setting,
    method,
    value,
    questions,
    presentations
from metrics
where model = $model
    and dataset = $dataset
    and probe = 'vanilla'
    and method in ('vanilla', 'purified_attention', 'agd')
    and variant = ''
    and calibration_dataset = dataset
    and calibration_setting = setting
    and calibration_split = 'calibration'
    and calibration_set = 1
    and calibration_questions = $calibration_questions
    and metric = 'accuracy'
order by setting = 'random' desc, abs(n - 8), n, setting, method
