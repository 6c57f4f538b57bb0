with properties as (
    select * from {{ ref('stg_salesforce__product_properties') }}
    where sync_exception is not null
)

select
    salesforce_id,
    property_name,
    created_at,
    last_modified_at,
    snappt_property_id_c,
    reverse_etl_id_c,
    sync_exception,
    case sync_exception
        when 'blank_sync_key'
            then 'Fill Reverse_ETL_ID__c in Salesforce: Census drops rows without a sync key.'
        when 'duplicate_sync_key'
            then 'Give each record a Reverse_ETL_ID__c of its own, or merge the duplicates.'
        when 'blank_property_id'
            then 'Fill snappt_property_id_c: without it nobody knows which products are on.'
    end as what_to_do
from properties
