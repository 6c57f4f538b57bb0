-- One row per property of the application that Salesforce does not have, with its future sync key.
-- A key that is taken is left out: Census would give that record to another property.
{{ config(materialized=table_until_replica_has_moved()) }}
with properties as (
    select
        property_id,
        property_name,
        concat('{{ var("sync_key_prefix") }}', property_id) as sync_key
    from {{ ref('stg_rds__properties') }}
),

salesforce_ids as (
    select * from {{ ref('stg_salesforce__property_ids') }}
),

salesforce_keys as (
    select reverse_etl_id_c from {{ ref('stg_salesforce__product_properties') }}
)

select * from properties
where
    not exists (
        select 1 from salesforce_ids
        where salesforce_ids.property_id = properties.property_id
    )
    and not exists (
        select 1 from salesforce_keys
        where salesforce_keys.reverse_etl_id_c = properties.sync_key
    )
