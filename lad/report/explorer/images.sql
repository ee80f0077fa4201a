-- The candidates that the questions show.
select
    image_id,
    file_name,
    text,
    license,
    attribution
from images
where image_id in (select unnest(candidates) from questions)
order by image_id
