-- One row per property: of several feature rows the one with the newest update. The rows are
-- scanned three times, because DuckDB would materialize a CTE that is used again.
{%- set largest_first = ' desc nulls last,\n                features.' %}
with duplicate_ids as (
    select property_id
    from {{ ref('stg_sfdc_dbx__product_features') }}
    group by property_id
    having count(*) > 1
),

-- Only the few properties with several rows are ranked. Every column takes part in the order, so
-- that two runs over the same rows choose the same one.
ranked as (
    select
        features.property_id,
        features.{{ feature_columns() | join(',\n        features.') }},
        row_number() over (
            partition by features.property_id
            order by
                {{ newest_update() }} desc nulls last,
                features.{{ feature_columns() | join(largest_first) }} desc nulls last
        ) as recency
    from {{ ref('stg_sfdc_dbx__product_features') }} as features
    inner join duplicate_ids on features.property_id = duplicate_ids.property_id
),

final as (
    select
        features.property_id,
        {{ feature_columns() | join(',\n        ') }}
    from {{ ref('stg_sfdc_dbx__product_features') }} as features
    left join duplicate_ids on features.property_id = duplicate_ids.property_id
    where features.property_id <> coalesce(duplicate_ids.property_id, '')

    union all

    select
        property_id,
        {{ feature_columns() | join(',\n        ') }}
    from ranked
    where recency = 1
)

select * from final
