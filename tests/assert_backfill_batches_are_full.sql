-- Batches are numbered 1, 2, 3, … without a gap; all are equally large, only the last one may be
-- smaller.
with batches as (
    select
        batch_number,
        count(*) as batch_rows
    from {{ ref('product_property_feature_backfill') }}
    group by batch_number
),

totals as (
    select
        count(*) as last_batch_number,
        max(batch_rows) as batch_size
    from batches
)

select batches.*
from batches
cross join totals
where
    batches.batch_number is null
    or batches.batch_number not between 1 and totals.last_batch_number
    or (
        batches.batch_number < totals.last_batch_number
        and batches.batch_rows <> totals.batch_size
    )
