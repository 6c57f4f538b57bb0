-- Which records does a person have to look at, and why? Five examples of each reason, with the
-- figures of the reason.
with records as (
    select
        'exceptions' as mart,
        sync_exception as reason,
        what_to_do,
        is_mismatched,
        salesforce_id,
        property_name,
        snappt_property_id_c
    from {{ ref('product_property_sync_exceptions') }}
),

reasons as (
    select
        *,
        salesforce_id is null as is_new_property
    from records
),

ranked as (
    select
        *,
        count(*) over (partition by mart, reason, is_new_property) as records,
        sum(case when is_mismatched then 1 else 0 end)
            over (partition by mart, reason, is_new_property) as mismatched,
        row_number() over (
            partition by mart, reason, is_new_property
            order by case when is_mismatched then 1 else 2 end, salesforce_id, property_name
        ) as place
    from reasons
)

select
    mart,
    reason,
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
    reason asc,
    is_new_property asc,
    place asc
