-- Which positions draw attention whatever they show?
-- shares: percent of the layer's attention on candidates that goes to position 1, 2 ... n, over all calibration
-- presentations, in which the target stands everywhere equally often (eq. 7); without a prior each has 100 / n.
with priors as (
    select
        *,
        prior / sum(prior) over (partition by model, dataset, setting, n, probe, layer) as share
    from attention_prior
    where formulation = 'printed' and "row" = 'last' and split = 'calibration' and calibration_set = 1
    qualify calibration_questions = mode(calibration_questions) over ()
)

select
    model,
    dataset,
    setting,
    n,
    probe,
    layer,
    list(round(100 * share)::integer order by position) as shares
from priors
group by model, dataset, setting, n, probe, layer
order by all;
