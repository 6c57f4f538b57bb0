-- One row per event: a build saw a difference that the build before did not ('opened'), or no
-- longer sees one ('closed'). An event cannot be measured again, so a full refresh keeps the table.
-- Nothing is written while the guard is tripped: an empty replica would close everything.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
) }}
with differences as (
    select * from {{ ref('int_product_properties_unpivoted') }}
    where
        mismatch_kind is not null
        and sync_exception is null
),

builds as (
    select
        verdict.built_at,
        max(runs.measured_at) as previous_built_at
    from {{ ref('feature_sync_guard') }} as verdict
    left join {{ ref('feature_accuracy_history') }} as runs
        on
            verdict.built_at > runs.measured_at
            and not runs.is_guard_tripped
    where not verdict.is_tripped
    group by verdict.built_at
),

{% if is_incremental() -%}
open_before as (
    select
        salesforce_id,
        snappt_property_id_c,
        product,
        mismatch_kind
    from {{ this }}
    group by
        salesforce_id,
        snappt_property_id_c,
        product,
        mismatch_kind
    having sum(case event when 'opened' then 1 else -1 end) > 0
),

{% endif -%}
opened as (
    select
        differences.*,
        builds.built_at,
        {%- if is_incremental() %}
        -- The build before saw the record, and saw it right.
        case
            when
                differences.created_at <= builds.previous_built_at
                and open_before.salesforce_id is null
                then builds.previous_built_at
        end as seen_right_at
        {%- else %}
        cast(null as {{ dbt.type_timestamp() }}) as seen_right_at
        {%- endif %}
    from differences
    cross join builds
    {%- if is_incremental() %}
    left join open_before
        on
            differences.salesforce_id = open_before.salesforce_id
            and differences.product = open_before.product
    where differences.mismatch_kind <> coalesce(open_before.mismatch_kind, '')
    {%- endif %}
),

{% if is_incremental() -%}
closed as (
    -- A record that comes twice closes once.
    select distinct
        open_before.*,
        builds.built_at,
        case
            when records.salesforce_id is null then 'deleted'
            when records.sync_exception is not null then 'became_an_exception'
            when records.mismatch_kind is not null then 'changed'
            {%- if not var('compare_feature_dates') %}
            when open_before.mismatch_kind = 'dates_differ' then 'no_longer_compared'
            {%- endif %}
            else 'repaired'
        end as closed_because
    from open_before
    cross join builds
    left join {{ ref('int_product_properties_unpivoted') }} as records
        on
            open_before.salesforce_id = records.salesforce_id
            and open_before.product = records.product
    where
        records.sync_exception is not null
        or coalesce(records.mismatch_kind, '') <> open_before.mismatch_kind
),

{% endif -%}
final as (
    select
        built_at as happened_at,
        'opened' as event,
        salesforce_id,
        snappt_property_id_c,
        product,
        mismatch_kind,
        case
            when updated_at > last_modified_at or updated_at > seen_right_at then 'source_changed'
            when
                seen_right_at is not null
                and last_modified_at > coalesce(updated_at, created_at)
                then 'changed_in_salesforce'
            when created_at > updated_at then 'created_without'
            else 'unknown'
        end as cause,
        cast(null as {{ dbt.type_string() }}) as closed_because
    from opened
    {%- if is_incremental() %}

    union all

    select
        built_at as happened_at,
        'closed' as event,
        salesforce_id,
        snappt_property_id_c,
        product,
        mismatch_kind,
        cast(null as {{ dbt.type_string() }}) as cause,
        closed_because
    from closed
    {%- endif %}
)

select * from final
