-- The scores of one method that positions have: one row per metric and position.
--   metric           confusion (by both positions), recall (by target_position) or selection_rate (by position)
--   target_position  where the target was
--   position         the answer
--   value            percent; of a confusion matrix each row sums to 100 %
select
    metric,
    target_position,
    position,
    value
from metrics
where model = $model
    and dataset = $dataset
    and setting = $setting
    and n = $n
    and probe = $probe
    and calibration_dataset = $calibration_dataset
    and calibration_setting = $calibration_setting
    and calibration_split = $calibration_split
    and calibration_set = $calibration_set
    and calibration_questions = $calibration_questions
    and method = $method
    and variant = $variant
    and metric in ('confusion', 'recall', 'selection_rate')
order by all
