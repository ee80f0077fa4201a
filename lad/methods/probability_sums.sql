-- Relation probability_sums: the sum of the probabilities of each position over presentations, and how many these are.
-- One row per position. Relation in: probabilities, of presentations or already summed.
select position, sum(total) as total, sum(presentations)::bigint as presentations
from probabilities
group by position
