-- Every paired difference in accuracy between two methods of one model on one dataset, asked by the same probe after
-- the same calibration: one row per ordered pair.
--   value      points by which the method is ahead of `against`
--   low, high  95 % bootstrap interval over questions, each resample drawing the same questions for both
select
    setting,
    n as n_candidates,
    probe,
    calibration_dataset,
    calibration_setting,
    calibration_split,
    calibration_set,
    calibration_questions,
    method,
    variant,
    against,
    against_variant,
    value,
    low,
    high
from differences
where model = $model
    and dataset = $dataset
    and metric = 'accuracy'
