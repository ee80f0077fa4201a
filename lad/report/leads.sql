-- Every paired difference in accuracy: one row per ordered pair of methods, of one scoring or of two.
--   value         points by which the method is ahead of `against`
--   low, high     95 % bootstrap interval over questions, each resample drawing the same questions for both
--   is_reference  null where both are of the scoring that the keys name; else which of the two is of the reference
with pairs as (
    select
        *,
        null::boolean as is_reference,
        null::integer as reference_calibration_questions
    from differences
    union all by name
    select * from comparisons
)

select
    model,
    dataset,
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
    is_reference,
    reference_calibration_questions,
    value,
    low,
    high
from pairs
where metric = 'accuracy'
