-- The findings of the last build in one row: the report's headline and tiles.
with summary as (
    select
        max(as_of_date) as as_of_date,
        max(built_at) as built_at,
        max(case when cohort = 'all' then properties end) as properties,
        max(case when cohort = 'all' then mismatched end) as mismatched,
        coalesce(max(case when cohort = 'as_of_date' then mismatched end), 0)
            as mismatched_on_the_day
    from {{ ref('feature_sync_summary') }}
    where product = 'All products'
),

stuck as (
    select count(distinct salesforce_id) as mismatched_exceptions
    from {{ ref('feature_mismatches') }}
    where sync_exception is not null
)

select
    summary.as_of_date,
    summary.built_at,
    summary.properties,
    summary.mismatched,
    stuck.mismatched_exceptions,
    summary.mismatched - stuck.mismatched_exceptions as records_to_update,
    summary.mismatched_on_the_day,
    summary.mismatched - summary.mismatched_on_the_day as mismatched_on_other_days,
    (select count(*) from {{ ref('product_property_sync_exceptions') }}) as exceptions,
    (select count(*) from {{ ref('product_property_create') }}) as properties_to_create
from summary
cross join stuck
