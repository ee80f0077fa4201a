-- What each position attracts whatever it shows (eq. 7): one row per row of attention, with layer x position, flat.
select
    "row",
    list(prior order by layer, position) as prior
from attention_prior
where formulation = 'printed'
group by "row"
