-- One row per Salesforce record, deleted records included.
with source as (
    select * from {{ source('salesforce', 'product_property_c') }}
),

renamed as (
    select
        id as salesforce_id,
        name as property_name,
        cast(created_date as {{ dbt.type_timestamp() }}) as created_at,
        cast(last_modified_date as {{ dbt.type_timestamp() }}) as last_modified_at,
        {{ is_deleted() }} as is_deleted,
        {{ clean_id('snappt_property_id_c') }} as snappt_property_id_c,
        {{ clean_id('reverse_etl_id_c') }} as reverse_etl_id_c,
        -- Salesforce itself strips spaces around a key, and nothing else.
        {{ salesforce_key('reverse_etl_id_c') }}
        <> {{ clean_id('reverse_etl_id_c') }} as has_unusual_sync_key,
        {%- for product in product_features() %}

        -- {{ product.name }}
        {{ product.flag }},
        cast({{ product.start_date }} as {{ dbt.type_timestamp() }}) as {{ product.start_date }},
        cast({{ product.updated_date }} as {{ dbt.type_timestamp() }}) as {{ product.updated_date }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from source
)

select * from renamed
