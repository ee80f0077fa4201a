-- The answers of one method under one condition, as predictions: what two conditions are compared by.
-- Parameters: the condition. $name is what the method is to be called in the result.
select
    presentation_id,
    question_id,
    round,
    $name as method,
    '' as variant,
    n_candidates,
    position,
    target_position,
    candidate,
    correct,
    scores
from predictions
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
