-- One row per Salesforce record that cannot be synced, and per new property that cannot be created.
with records as (
    select * from {{ ref('int_product_properties_at_build') }}
    where sync_exception is not null
),

new_properties as (
    select * from {{ ref('int_properties_not_in_salesforce') }}
    where sync_exception is not null
),

exceptions as (
    select
        salesforce_id,
        property_name,
        created_at,
        last_modified_at,
        snappt_property_id_c,
        reverse_etl_id_c,
        sync_exception,
        is_mismatched
    from records

    union all

    select
        cast(null as {{ dbt.type_string() }}) as salesforce_id,
        property_name,
        cast(null as {{ dbt.type_timestamp() }}) as created_at,
        cast(null as {{ dbt.type_timestamp() }}) as last_modified_at,
        snappt_property_id_c,
        reverse_etl_id_c,
        sync_exception,
        true as is_mismatched
    from new_properties
)

select
    salesforce_id,
    property_name,
    created_at,
    last_modified_at,
    snappt_property_id_c,
    reverse_etl_id_c,
    sync_exception,
    is_mismatched,
    case sync_exception
        when 'blank_sync_key'
            then 'Fill in Reverse_ETL_ID__c in Salesforce: Census drops rows without a sync key.'
        when 'duplicate_sync_key'
            then 'Give each record its own Reverse_ETL_ID__c, or merge the duplicates.'
        when 'blank_property_id'
            then 'Fill in the property id: without it nobody knows which products are on.'
        when 'blank_name'
            then 'Give the property a name: Salesforce refuses a record without one.'
        when 'sync_key_taken'
            then 'Correct the record with this Reverse_ETL_ID__c: a new property needs the key.'
    end as what_to_do
from exceptions
