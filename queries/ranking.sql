-- How well are lists ranked, and by how many points better than by the first stage, with 95 % intervals?
-- average: micro (all lists), macro (the mean over groups), or a group. beats: the lead's whole interval lies above 0.
select
    model,
    dataset,
    setting,
    n,
    probe,
    coalesce(nullif("group", ''), 'micro') as average,
    metric,
    method,
    variant,
    round(value, 1) as value,
    round(low, 1) as low,
    round(high, 1) as high,
    round("lead", 1) as points,
    round(lead_low, 1) as points_low,
    round(lead_high, 1) as points_high,
    lead_low > 0 as beats
from rankings
where metric = 'ndcg_at_10'
    and calibration_dataset = dataset
    and calibration_setting = setting
    and calibration_split = 'calibration'
    and calibration_set = 1
qualify calibration_questions = mode(calibration_questions) over ()
order by model, dataset, setting, n, probe, average <> 'micro', average <> 'macro', average, value desc, method, variant;
