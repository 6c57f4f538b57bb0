-- One row per Salesforce record and product that differ.
with differing as (
    select
        *,
        -- It cannot have been wrong before the record was created in Salesforce.
        greatest(created_at, updated_at) as mismatched_since_at
    from {{ ref('int_product_properties_unpivoted') }}
    where mismatch_kind is not null
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
    mismatched_since_at,
    -- As of the build, also when somebody reads this view days later.
    case
        when mismatched_since_at is not null then greatest({{ dbt.datediff(
            'mismatched_since_at',
            'least(' ~ as_of_date() ~ ', cast(' ~ built_at() ~ ' as date))',
            'day'
        ) | trim }}, 0)
    end as days_mismatched
from differing
