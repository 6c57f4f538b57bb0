-- One row per property: its latest feature row. Rows that do not count stay, but lose their id, so
-- that nothing joins them: of a filtered table DuckDB expects too few rows, and joins it in the
-- wrong order, which takes twice as long. Each step scans the source for itself: a CTE used twice
-- is materialised with all its columns (DuckDB) or computed twice (Spark).
with property_ids as (
    select {{ clean_id('property_id') }} as property_id
    from {{ source('sfdc_dbx', 'product_property_w_features') }}
),

duplicate_ids as (
    select property_id
    from property_ids
    group by property_id
    having count(*) > 1
),

-- Only the few duplicated properties are ranked. Every column takes part in the order, so that
-- two runs over the same rows choose the same one.
ranked as (
    select
        features.*,
        row_number() over (
            partition by duplicate_ids.property_id
            order by
                {{ newest_update() }} desc nulls last,
                {%- for column in feature_columns() %}
                features.{{ column }} desc nulls last
                {%- if not loop.last %},{% endif %}
                {%- endfor %}
        ) as recency
    from {{ source('sfdc_dbx', 'product_property_w_features') }} as features
    inner join duplicate_ids on {{ clean_id('features.property_id') }} = duplicate_ids.property_id
),

latest as (
    select
        case when duplicate_ids.property_id is null then features.property_id end as property_id,
        {{ feature_columns() | join(',\n        ') }}
    from {{ source('sfdc_dbx', 'product_property_w_features') }} as features
    left join duplicate_ids on {{ clean_id('features.property_id') }} = duplicate_ids.property_id

    union all

    select
        property_id,
        {{ feature_columns() | join(',\n        ') }}
    from ranked
    where recency = 1
),

renamed as (
    select
        {{ clean_id('property_id') }} as property_id,
        {%- for product in product_features() %}
        {%- set prefix = product.source_prefix %}

        -- {{ product.name }}
        cast({{ prefix }}_enabled as boolean) as {{ prefix }}_enabled,
        cast({{ prefix }}_enabled_at as {{ dbt.type_timestamp() }}) as {{ prefix }}_enabled_at,
        cast({{ prefix }}_updated_at as {{ dbt.type_timestamp() }}) as {{ prefix }}_updated_at
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from latest
)

select * from renamed
