-- With what every file of signals was extracted: one row per file, from the facts in its metadata.
--   checkpoint         folder or hub id; revision and weights say which state of it
--   seconds            from image files to signals, summed over the runs that the file was finished in
--   peak_memory_bytes  the GPU's peak allocation; on a CPU the process's peak resident size
select
    model,
    dataset,
    setting,
    n,
    probe,
    split,
    facts ->> 'model' as checkpoint,
    facts ->> 'revision' as revision,
    facts ->> 'weights' as weights,
    facts ->> 'dtype' as dtype,
    (facts ->> 'extractor_version')::integer as extractor_version,
    facts -> 'versions' ->> 'torch' as torch,
    facts -> 'versions' ->> 'transformers' as transformers,
    facts ->> 'device' as device,
    (facts ->> 'presentations')::integer as presentations,
    (facts ->> 'seconds')::double as seconds,
    (facts ->> 'peak_memory_bytes')::bigint as peak_memory_bytes
from signals_metadata
