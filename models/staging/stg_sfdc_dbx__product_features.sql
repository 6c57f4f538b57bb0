-- One row per property: its latest feature row.
with source as (
    select * from {{ source('sfdc_dbx', 'product_property_w_features') }}
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
    from source
),

duplicate_ids as (
    select property_id
    from renamed
    group by property_id
    having count(*) > 1
),

-- Only the few duplicated properties are ranked. Every column takes part in the order, so that
-- two runs over the same rows choose the same one.
ranked as (
    select
        renamed.*,
        row_number() over (
            partition by renamed.property_id
            order by
                {{ newest_update() }} desc nulls last,
                {%- for column in feature_columns() %}
                renamed.{{ column }} desc nulls last
                {%- if not loop.last %},{% endif %}
                {%- endfor %}
        ) as recency
    from renamed
    inner join duplicate_ids on renamed.property_id = duplicate_ids.property_id
),

final as (
    select renamed.*
    from renamed
    left join duplicate_ids on renamed.property_id = duplicate_ids.property_id
    where
        renamed.property_id is not null
        and duplicate_ids.property_id is null

    union all

    select
        property_id,
        {{ feature_columns() | join(',\n        ') }}
    from ranked
    where recency = 1
)

select * from final
