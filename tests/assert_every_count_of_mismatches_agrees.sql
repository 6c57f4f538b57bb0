-- The monitoring lists as many mismatched properties as the comparison has and the summary counts.
with counts as (
    select
        (select count(distinct salesforce_id) from {{ ref('feature_mismatches') }}) as listed,
        (
            select count(case when is_mismatched then 1 end)
            from {{ ref('int_product_properties_at_build') }}
        ) as compared,
        (
            select mismatched from {{ ref('feature_sync_summary') }}
            where cohort = 'all' and product = 'All products'
        ) as summarised
)

select * from counts
where
    listed <> compared
    or listed is distinct from summarised
