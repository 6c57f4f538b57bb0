-- What Census is about to update, what the monitoring lists and what the summary counts is one
-- number.
with counts as (
    select
        (select count(*) from {{ ref('product_property_feature_sync') }}) as to_sync,
        (select count(distinct reverse_etl_id_c) from {{ ref('feature_mismatches') }}) as listed,
        (
            select mismatched from {{ ref('feature_sync_summary') }}
            where cohort = 'all' and product = 'All products'
        ) as summarised
)

select * from counts
where
    to_sync <> listed
    or to_sync <> coalesce(summarised, 0)
