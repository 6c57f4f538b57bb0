-- What Census is about to update, what the monitoring lists and what the summary counts is one
-- number, unless sync_max_rows makes Census's smaller or the guard makes it zero.
with counts as (
    select
        (select count(*) from {{ ref('product_property_feature_sync') }}) as to_sync,
        (select count(distinct reverse_etl_id_c) from {{ ref('feature_mismatches') }}) as listed,
        (
            select mismatched from {{ ref('feature_sync_summary') }}
            where cohort = 'all' and product = 'All products'
        ) as summarised,
        (select is_tripped from {{ ref('feature_sync_guard') }}) as is_tripped
)

select * from counts
where
    listed <> coalesce(summarised, 0)
    or to_sync <> case
        when is_tripped then 0
        {%- if var('sync_max_rows') %}
        when listed > {{ var('sync_max_rows') }} then {{ var('sync_max_rows') }}
        {%- endif %}
        else listed
    end
