-- Confusion matrices with the numbers that sum them up, for figures 1 and 8: one row per probe, method and cell.
--   metric           confusion (by both positions), recall (by target position), selection_rate (by position)
--                    or accuracy
--   target_position  where the target was
--   position         the answer
--   value            percent; of a confusion matrix each row sums to 100 %
select
    probe,
    method,
    metric,
    target_position,
    position,
    value
from metrics
where model = $model
    and dataset = $dataset
    and setting = $setting
    and n = $n
    and probe in (select unnest($probes))
    and method in ('vanilla', 'agd')
    and variant = ''
    and calibration_dataset = dataset
    and calibration_setting = setting
    and calibration_split = 'calibration'
    and calibration_set = 1
    and calibration_questions = $calibration_questions
    and metric in ('confusion', 'recall', 'selection_rate', 'accuracy')
order by all
