-- Every score that no position has, in the layout of the published results: one row per condition and metric.
--   variant        options that follow the method's name, '' for none
--   calibration_*  dataset, setting, split and set of the calibration questions
--   std            sample standard deviation over the orders (accuracy only)
--   low, high      95 % bootstrap interval over questions
select
    model,
    dataset,
    setting,
    n as n_candidates,
    probe,
    method,
    variant,
    calibration_dataset,
    calibration_setting,
    calibration_split,
    calibration_set,
    calibration_questions,
    metric,
    value,
    std,
    low,
    high,
    questions,
    presentations
from metrics
where metric in (
    'accuracy', 'rstd', 'consistency', 'success_rate',
    'chi_squared', 'cramers_v', 'flip_rate', 'preference_fairness'
)
order by all
