-- One row per Salesforce property that is not deleted. The keys are looked at in a scan of their
-- own: a CTE used twice is materialised with all its columns (DuckDB) or computed twice (Spark).
with source as (
    select * from {{ source('salesforce', 'product_property_c') }}
    where {{ is_live() }}
),

sync_keys as (
    select {{ clean_id('reverse_etl_id_c') }} as sync_key
    from {{ source('salesforce', 'product_property_c') }}
    where {{ is_live() }}
),

duplicate_sync_keys as (
    select sync_key
    from sync_keys
    group by sync_key
    having count(*) > 1
),

renamed as (
    select
        id as salesforce_id,
        name as property_name,
        cast(created_date as {{ dbt.type_timestamp() }}) as created_at,
        cast(
            {{ optional_column('salesforce_last_modified_column') or 'null' }}
            as {{ dbt.type_timestamp() }}
        ) as last_modified_at,
        {{ clean_id('snappt_property_id_c') }} as snappt_property_id_c,
        {{ clean_id('reverse_etl_id_c') }} as reverse_etl_id_c,
        {%- for product in product_features() %}

        -- {{ product.name }}
        cast({{ product.flag }} as boolean) as {{ product.flag }},
        cast({{ product.start_date }} as {{ dbt.type_timestamp() }}) as {{ product.start_date }},
        cast({{ product.updated_date }} as {{ dbt.type_timestamp() }}) as {{ product.updated_date }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from source
),

final as (
    select
        renamed.*,
        case
            when renamed.reverse_etl_id_c is null then 'blank_sync_key'
            when duplicate_sync_keys.sync_key is not null then 'duplicate_sync_key'
            when renamed.snappt_property_id_c is null then 'blank_property_id'
        end as sync_exception
    from renamed
    left join duplicate_sync_keys on renamed.reverse_etl_id_c = duplicate_sync_keys.sync_key
)

select * from final
