-- One row per Salesforce record that cannot be synced, and per new property that cannot be created.
with ids_in_another_format as (
    select * from {{ ref('int_ids_in_another_format') }}
),

exceptions as (
    select
        records.salesforce_id,
        records.property_name,
        records.created_at,
        records.last_modified_at,
        records.snappt_property_id_c,
        records.reverse_etl_id_c,
        records.sync_exception,
        ids_in_another_format.other_property_id as other_spelling,
        records.is_mismatched
    from {{ ref('int_product_properties_at_build') }} as records
    left join ids_in_another_format
        on
            records.sync_exception = 'id_in_another_format'
            and records.snappt_property_id_c = ids_in_another_format.snappt_property_id_c
    where records.sync_exception is not null

    union all

    select
        cast(null as {{ dbt.type_string() }}) as salesforce_id,
        properties.property_name,
        cast(null as {{ dbt.type_timestamp() }}) as created_at,
        cast(null as {{ dbt.type_timestamp() }}) as last_modified_at,
        properties.snappt_property_id_c,
        properties.reverse_etl_id_c,
        properties.sync_exception,
        ids_in_another_format.snappt_property_id_c as other_spelling,
        true as is_mismatched
    from {{ ref('int_properties_not_in_salesforce') }} as properties
    left join ids_in_another_format
        on
            properties.sync_exception = 'id_in_another_format'
            and properties.snappt_property_id_c = ids_in_another_format.other_property_id
    where properties.sync_exception is not null
)

select
    salesforce_id,
    property_name,
    created_at,
    last_modified_at,
    snappt_property_id_c,
    reverse_etl_id_c,
    sync_exception,
    other_spelling,
    is_mismatched,
    case sync_exception
        when 'repeated_record'
            then 'Resync this table in the connector: it holds the record more than once.'
        when 'blank_sync_key'
            then 'Fill in Reverse_ETL_ID__c in Salesforce: Census drops rows without a sync key.'
        when 'unusual_sync_key'
            then 'Type Reverse_ETL_ID__c again: it begins or ends with an invisible character.'
        when 'duplicate_sync_key'
            then 'Give each record its own Reverse_ETL_ID__c, or merge the duplicates.'
        when 'blank_property_id'
            then 'Fill in the property id: without it nobody knows which products are on.'
        when 'id_in_another_format'
            then 'Write the property id the same way everywhere: see other_spelling.'
        when 'blank_name'
            then 'Give the property a name: Salesforce refuses a record without one.'
        when 'sync_key_taken'
            then 'Correct the record with this Reverse_ETL_ID__c: a new property needs the key.'
    end as what_to_do
from exceptions
