-- Which position does the plain model answer when the target is at each position?
-- One row for each position of the target; answered: percent of the answers at position 1, 2 ... n.
with confusion as (
    select *
    from metrics
    where metric = 'confusion'
        and method = 'vanilla'
        and variant = ''
        and calibration_dataset = dataset
        and calibration_setting = setting
        and calibration_split = 'calibration'
        and calibration_set = 1
    qualify calibration_questions = mode(calibration_questions) over ()
)

select
    model,
    dataset,
    setting,
    n,
    probe,
    target_position,
    list(round(value)::integer order by position) as answered
from confusion
group by model, dataset, setting, n, probe, target_position
order by all;
