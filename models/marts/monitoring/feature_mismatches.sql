-- One row per Salesforce record and product that differ.
with flags as (
    select * from {{ ref('int_product_properties_unpivoted') }}
)

select
    snappt_property_id_c,
    reverse_etl_id_c,
    salesforce_id,
    property_name,
    created_at,
    product,
    mismatch_kind,
    sync_exception,
    is_enabled_in_salesforce,
    is_enabled,
    started_at_in_salesforce,
    started_at,
    updated_at_in_salesforce,
    updated_at,
    -- It cannot have been wrong before the record was created in Salesforce.
    greatest(created_at, updated_at) as mismatched_since_at
from flags
where mismatch_kind is not null
