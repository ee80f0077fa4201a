-- What 1,000 presentations cost, of one cell for each number of candidates: one row per N and method.
--   forward_s           seconds of forward passes, the attention read-out included; the same passes serve all methods
--   queries_s           seconds of scoring; null where no scoring recorded any
--   calibration_passes  forward passes that calibrating takes, once; 0 for a method that needs none
--   calibration_s       seconds of these passes and of fitting; null where neither is recorded
--   peak_memory_mib     of the forward passes
--   device              what they ran on
with methods as (
    select
        unnest(['vanilla', 'pride', 'agd']) as method,
        unnest([false, true, true]) as is_calibrated
),

measured as (
    select
        n,
        split,
        presentations,
        seconds / presentations as seconds_each,
        peak_memory_bytes / 1048576 as peak_memory_mib,
        device
    from runs
),

passes as (
    select
        evaluation.n,
        evaluation.presentations,
        evaluation.device,
        evaluation.peak_memory_mib,
        1000 * evaluation.seconds_each as forward_s,
        $calibration_questions * evaluation.n as calibration_passes,
        $calibration_questions * evaluation.n * calibration.seconds_each + fitted.seconds as calibration_s
    from measured as evaluation
    left join measured as calibration on calibration.n = evaluation.n and calibration.split = 'calibration'
    left join timings as fitted on fitted.n = evaluation.n and fitted.step = 'calibrate'
    where evaluation.split = 'evaluation'
)

select
    passes.n,
    methods.method,
    passes.forward_s,
    1000 * scored.seconds / passes.presentations as queries_s,
    if(methods.is_calibrated, passes.calibration_passes, 0) as calibration_passes,
    if(methods.is_calibrated, passes.calibration_s, 0) as calibration_s,
    passes.peak_memory_mib,
    passes.device
from passes
cross join methods
left join timings as scored on scored.n = passes.n and scored.step = 'score' and scored.method = methods.method
order by passes.n, methods.is_calibrated, methods.method = 'agd'
