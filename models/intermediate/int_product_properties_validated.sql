-- One row per Salesforce record that is not deleted, with the reason if it cannot be synced. Keys
-- are counted in a scan of their own: a CTE used twice is materialized with all its columns
-- (DuckDB) or computed twice (Spark).
with records as (
    select * from {{ ref('stg_salesforce__product_properties') }}
),

sync_keys as (
    select {{ sync_key_identity('reverse_etl_id_c') }} as sync_key
    from {{ ref('stg_salesforce__product_properties') }}
),

duplicate_sync_keys as (
    select sync_key
    from sync_keys
    group by sync_key
    having count(*) > 1
),

final as (
    select
        records.salesforce_id,
        records.property_name,
        records.created_at,
        records.last_modified_at,
        {%- for column in census_columns() %}
        records.{{ column }},
        {%- endfor %}
        case
            when records.reverse_etl_id_c is null then 'blank_sync_key'
            when duplicate_sync_keys.sync_key is not null then 'duplicate_sync_key'
            when records.snappt_property_id_c is null then 'blank_property_id'
        end as sync_exception
    from records
    left join duplicate_sync_keys
        on {{ sync_key_identity('records.reverse_etl_id_c') }} = duplicate_sync_keys.sync_key
)

select * from final
