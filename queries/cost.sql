-- What does a presentation cost, and on what machine?
select
    model,
    n,
    probe,
    device,
    dtype,
    sum(presentations)::integer as presentations,
    round(1000 * sum(seconds) / sum(presentations), 1) as milliseconds_each,
    round(max(peak_memory_bytes) / 1048576)::integer as peak_memory_mib
from runs
where seconds is not null
group by model, n, probe, device, dtype
order by all;
