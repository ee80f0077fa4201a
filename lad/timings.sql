-- How long everything after the forward passes took: one row per calibration and per method of each scoring.
--   calibrated_on  dataset-setting of the calibration questions
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
        dataset || '-' || setting || if(split = 'calibration', '', '-reused') || if(draw = 1, '', '@' || draw)
            as calibrated_on,
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
        scored.calibrated_on,
        scored.calibration_questions,
        'score' as step,
        timed.key as method,
        timed.value::double as seconds
    from predictions_metadata as scored, json_each(scored.facts -> 'seconds') as timed
)

select * from calibrations
union all
select * from scorings
