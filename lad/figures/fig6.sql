-- How accuracy depends on the calibration budget and on tau: one row per N, method, parameter and its value.
--   parameter  calibration_questions (|D_cal|, section 4.2) or tau (eq. 12)
--   parameter_value  the parameter's value
--   std        sample standard deviation over the orders
with accuracies as (
    select
        n,
        method,
        calibration_questions,
        variant,
        try_cast(regexp_extract(variant, '^tau=([0-9.]+)$', 1) as double) as tau,
        value,
        std
    from metrics
    where model = $model
        and dataset = $dataset
        and setting = $setting
        and n in (select unnest($ns))
        and probe = 'vanilla'
        and method in ('vanilla', 'pride', 'agd')
        and calibration_dataset = dataset
        and calibration_setting = setting
        and calibration_split = 'calibration'
        and calibration_set = 1
        and metric = 'accuracy'
),

by_budget as (
    select n, method, 'calibration_questions' as parameter, calibration_questions::double as parameter_value, value, std
    from accuracies
    where variant = ''
),

by_temperature as (
    -- the configured tau carries no variant; vanilla and PriDe have no tau at all
    select n, method, 'tau' as parameter, coalesce(tau, $temperature) as parameter_value, value, std
    from accuracies
    where calibration_questions = $calibration_questions
        and (variant = '' or tau is not null)
)

select * from by_budget
union all
select * from by_temperature
order by all
