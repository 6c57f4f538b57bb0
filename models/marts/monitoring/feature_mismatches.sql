-- One row per Salesforce record and product that differ.
with differing as (
    select * from {{ ref('int_product_properties_unpivoted') }}
    where mismatch_kind is not null
),

episodes as (
    select * from {{ ref('feature_mismatch_episodes') }}
    where closed_at is null
),

dated as (
    select
        differing.*,
        episodes.opened_at as first_seen_at,
        coalesce(episodes.cause, 'unknown') as cause,
        -- Without an edit in Salesforce, it can have been wrong since the product's last change,
        -- but not since before the record was created.
        case
            when episodes.cause = 'changed_in_salesforce' then differing.last_modified_at
            else greatest(differing.created_at, differing.updated_at)
        end as mismatched_since_at
    from differing
    left join episodes
        on
            differing.salesforce_id = episodes.salesforce_id
            and differing.product = episodes.product
            and differing.mismatch_kind = episodes.mismatch_kind
)

select
    snappt_property_id_c,
    reverse_etl_id_c,
    salesforce_id,
    property_name,
    created_at,
    last_modified_at,
    product,
    mismatch_kind,
    cause,
    sync_exception,
    is_enabled_in_salesforce,
    is_enabled,
    started_at_in_salesforce,
    started_at,
    updated_at_in_salesforce,
    updated_at,
    first_seen_at,
    mismatched_since_at,
    -- As of the build, also when somebody reads this view days later.
    case
        when mismatched_since_at is not null then greatest({{ dbt.datediff(
            'mismatched_since_at',
            'least(' ~ as_of_date() ~ ', cast(' ~ built_at() ~ ' as date))',
            'day'
        ) | trim }}, 0)
    end as days_mismatched
from dated
