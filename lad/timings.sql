-- How long everything after the forward passes took: one row per calibration and per method of each scoring.
--   calibration_*  dataset, setting, split and set of the calibration questions, and how many
--   step           calibrate or score
--   method         method with its options; null for calibrate, which serves all of them
--   seconds        without reading files; steps that methods share are counted with each of them
with calibrations as (
    select
        model,
        dataset,
        setting,
        n,
        probe,
        dataset as calibration_dataset,
        setting as calibration_setting,
        split as calibration_split,
        calibration_set,
        calibration_questions,
        'calibrate' as step,
        null::varchar as method,
        (facts ->> 'seconds')::double as seconds
    from position_bias_metadata
    where (facts -> 'seconds') is not null
),

scorings as (
    select
        scored.model,
        scored.dataset,
        scored.setting,
        scored.n,
        scored.probe,
        scored.calibration_dataset,
        scored.calibration_setting,
        scored.calibration_split,
        scored.calibration_set,
        scored.calibration_questions,
        'score' as step,
        timed.key as method,
        timed.value::double as seconds
    from predictions_metadata as scored, json_each(scored.facts -> 'seconds') as timed
)

select * from calibrations
union all
select * from scorings
