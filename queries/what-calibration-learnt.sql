-- What did the calibration questions teach about positions?
-- One row for each position of the target (i). observed: P(j|i) in percent for j = 1, 2 ... n, eq. 1; bias: the same
-- without the target's advantage, eq. 5, in percent of its sum over j.
with bias as (
    select *
    from position_bias
    where formulation = 'printed' and split = 'calibration' and calibration_set = 1
    qualify calibration_questions = mode(calibration_questions) over ()
),

shares as (
    select
        *,
        exp(bias) / sum(exp(bias)) over (partition by model, dataset, setting, n, probe, target_position) as share
    from bias
)

select
    model,
    dataset,
    setting,
    n,
    probe,
    calibration_questions,
    target_position,
    list(round(100 * observed)::integer order by position) as observed,
    list(round(100 * share)::integer order by position) as bias
from shares
group by model, dataset, setting, n, probe, calibration_questions, target_position
order by all;
