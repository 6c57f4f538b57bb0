-- Batches are numbered 1, 2, 3, … without a gap, all are equally large, and only the last one may be smaller.
with batches as (
    select
        batch_number,
        count(*) as properties
    from {{ ref('product_property_feature_backfill') }}
    group by batch_number
),

totals as (
    select
        count(*) as last_batch_number,
        max(properties) as batch_size
    from batches
)

select batches.*
from batches
cross join totals
where
    batches.batch_number not between 1 and totals.last_batch_number
    or (
        batches.batch_number < totals.last_batch_number
        and batches.properties <> totals.batch_size
    )
