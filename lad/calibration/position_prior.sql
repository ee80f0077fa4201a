-- Relation position_prior: PriDe's static prior, as its own authors and as the released code have it.
-- Relations in: observed_scores (of candidate_logprobs), released_bias (position_bias, released). Parameter:
-- $n_candidates, N.
--   pride           log mean over questions of softmax( mean over the question's shifts of log(P + 1e-10) )
--   pride_released  mean over i of O_ij - ideal_ij: a constant apart, the same with a geometric mean
with
question_means as (
    select question_id, position, avg(ln(exp(log_probability) + 1e-10)) as mean_log
    from observed_scores
    group by question_id, position
),

-- No shift before exp: mean_log lies between log 1e-10 and 0.
question_priors as (
    select position, exp(mean_log) / sum(exp(mean_log)) over (partition by question_id) as prior
    from question_means
)

select 'pride' as method, $n_candidates as n_candidates, position, ln(avg(prior)) as log_prior
from question_priors
group by position
union all
select 'pride_released' as method, $n_candidates as n_candidates, position, avg(bias) as log_prior
from released_bias
group by position
order by method, position
