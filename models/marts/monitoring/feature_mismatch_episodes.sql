-- One row per episode: a record and product that differed, from the build that saw it first to the
-- one that no longer did.
with events as (
    select
        *,
        lead(happened_at) over (
            partition by salesforce_id, product, mismatch_kind
            order by happened_at
        ) as closed_at,
        lead(closed_because) over (
            partition by salesforce_id, product, mismatch_kind
            order by happened_at
        ) as closed_as
    from {{ ref('feature_mismatch_log') }}
)

select
    salesforce_id,
    snappt_property_id_c,
    product,
    mismatch_kind,
    cause,
    happened_at as opened_at,
    closed_at,
    closed_as,
    {{ dbt.datediff('happened_at', 'closed_at', 'minute') | trim }} as minutes
from events
where event = 'opened'
