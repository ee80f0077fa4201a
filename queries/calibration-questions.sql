-- How many calibration questions are enough?
-- lowest and highest: over the sets of so many questions, where several were tried.
select
    model,
    dataset,
    setting,
    n,
    probe,
    method,
    variant,
    calibration_questions,
    count(*) as sets,
    round(avg(value), 1) as accuracy,
    round(min(value), 1) as lowest,
    round(max(value), 1) as highest
from metrics
where metric = 'accuracy'
    and method not in ('vanilla', 'vanilla_parsed')
    and calibration_dataset = dataset
    and calibration_setting = setting
    and calibration_split = 'calibration'
group by all
order by all;
