-- One row per property of the application that Salesforce does not have, with its future sync key.
{{ config(materialized=cross_catalog_materialization()) }}
with properties as (
    select
        property_id,
        property_name,
        concat('{{ var("sync_key_prefix") }}', property_id) as sync_key
    from {{ ref('stg_rds__properties') }}
),

-- A deleted record counts as present, so that nobody's deletion is undone.
salesforce_ids as (
    select snappt_property_id_c as property_id
    from {{ ref('base_salesforce__product_properties') }}
    {%- if var('recreate_deleted_properties') %}
    where not is_deleted
    {%- endif %}
),

salesforce_keys as (
    select {{ sync_key_identity('reverse_etl_id_c') }} as sync_key
    from {{ ref('stg_salesforce__product_properties') }}
),

final as (
    select
        properties.property_id,
        properties.property_name,
        properties.sync_key,
        exists(
            select 1 from salesforce_keys
            where salesforce_keys.sync_key = {{ sync_key_identity('properties.sync_key') }}
        ) as is_sync_key_taken
    from properties
    where
        not exists (
            select 1 from salesforce_ids
            where salesforce_ids.property_id = properties.property_id
        )
)

select * from final
