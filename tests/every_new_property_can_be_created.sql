-- Its sync key is free. If not, a record of another property, or of none, has it: give that record
-- its own Reverse_ETL_ID__c, or its own snappt_property_id_c. It hinders no other property, so it
-- only warns.
{{ config(severity='warn') }}
with properties as (
    select * from {{ ref('stg_rds__properties') }}
),

salesforce_ids as (
    select * from {{ ref('stg_salesforce__property_ids') }}
),

new_properties as (
    select * from {{ ref('int_properties_not_in_salesforce') }}
)

select
    properties.property_id,
    properties.property_name
from properties
left join salesforce_ids on properties.property_id = salesforce_ids.property_id
left join new_properties on properties.property_id = new_properties.property_id
where
    salesforce_ids.property_id is null
    and new_properties.property_id is null
