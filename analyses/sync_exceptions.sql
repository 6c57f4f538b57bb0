-- Records that cannot be synced: for each reason its figures and five examples.
with exceptions as (
    select
        *,
        salesforce_id is null as is_new_property
    from {{ ref('product_property_sync_exceptions') }}
),

ranked as (
    select
        *,
        count(*) over (partition by sync_exception, is_new_property) as records,
        sum(case when is_mismatched then 1 else 0 end)
            over (partition by sync_exception, is_new_property) as mismatched,
        row_number() over (
            partition by sync_exception, is_new_property
            order by case when is_mismatched then 1 else 2 end, salesforce_id, property_name
        ) as place
    from exceptions
)

select
    sync_exception,
    what_to_do,
    is_new_property,
    records,
    mismatched,
    salesforce_id,
    property_name,
    snappt_property_id_c
from ranked
where place <= 5
order by
    records desc,
    sync_exception asc,
    is_new_property asc,
    place asc
