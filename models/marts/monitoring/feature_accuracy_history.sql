-- One row per run and product, with 'All products'. A measurement cannot be repeated, so a full
-- refresh keeps the table.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='append_new_columns',
) }}
with summary as (
    select * from {{ ref('feature_sync_summary') }}
    where cohort = 'all'
),

guard as (
    select is_tripped from {{ ref('feature_sync_guard') }}
),

final as (
    select
        '{{ invocation_id }}' as run_id,
        summary.built_at as measured_at,
        summary.product,
        summary.properties,
        summary.mismatched,
        summary.missing_in_salesforce,
        summary.left_on_in_salesforce,
        summary.never_set_in_salesforce,
        summary.sync_exceptions,
        guard.is_tripped as is_guard_tripped
    from summary
    cross join guard
)

select * from final
{%- if is_incremental() %}
where run_id not in (select runs.run_id from {{ this }} as runs)
{%- endif %}
