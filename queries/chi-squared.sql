-- Does a method answer some positions more often than others?
-- chi_squared of the answers' positions against chance, with n - 1 degrees of freedom; cramers_v is 0 where all
-- positions are answered equally often and 1 where one of them always is. The orders of a question are not
-- independent, so a textbook p-value would be too small.
with shares as (
    select *
    from metrics
    where metric = 'selection_rate'
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
    round(any_value(presentations) * n * sum((value / sum_of_values - 1.0 / n) ** 2), 1) as chi_squared,
    round(sqrt(n * sum((value / sum_of_values - 1.0 / n) ** 2) / (n - 1)), 3) as cramers_v
from (
    select
        *,
        sum(value) over (partition by model, dataset, setting, n, probe, method, variant) as sum_of_values
    from shares
)
group by model, dataset, setting, n, probe, method, variant
order by model, dataset, setting, n, probe, cramers_v desc, method, variant;
