-- One row per row of the features table; a property may have several.
with source as (
    select * from {{ source('sfdc_dbx', 'product_property_w_features') }}
),

renamed as (
    select
        {{ clean_id('property_id') }} as property_id,
        {%- for product in product_features() %}
        {%- set prefix = product.source_prefix %}

        -- {{ product.name }}
        {{ prefix }}_enabled,
        cast({{ prefix }}_enabled_at as {{ dbt.type_timestamp() }}) as {{ prefix }}_enabled_at,
        cast({{ prefix }}_updated_at as {{ dbt.type_timestamp() }}) as {{ prefix }}_updated_at
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from source
)

select * from renamed
