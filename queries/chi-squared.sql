-- Does a method answer some positions more often than others, and does another order change its answer?
-- cramers_v is 0 where all positions are answered equally often and 1 where one of them always is; a preference shows
-- where its interval, low to high, lies above 0. flip_rate: percent of the pairs of orders with two different answers.
with chosen as (
    select *
    from metrics
    where metric in ('chi_squared', 'cramers_v', 'flip_rate')
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
    method,
    variant,
    round(any_value(value) filter (where metric = 'chi_squared'), 1) as chi_squared,
    round(any_value(value) filter (where metric = 'cramers_v'), 3) as cramers_v,
    round(any_value(low) filter (where metric = 'cramers_v'), 3) as low,
    round(any_value(high) filter (where metric = 'cramers_v'), 3) as high,
    round(any_value(value) filter (where metric = 'flip_rate'), 1) as flip_rate
from chosen
group by model, dataset, setting, n, probe, method, variant
order by model, dataset, setting, n, probe, cramers_v desc, method, variant;
