-- The proof after the sync: has everything arrived that the build saw? It recomputes the comparison
-- from staging and judges each record by the worst of its products. A record that changed in the
-- source of truth since the build is only a warning, because the next build offers it.
-- depends_on: {{ ref('base_salesforce__product_properties') }}
-- depends_on: {{ ref('stg_rds__properties') }}
-- depends_on: {{ ref('int_product_features_latest') }}
-- depends_on: {{ ref('int_product_properties_validated') }}
-- depends_on: {{ ref('int_ids_in_another_format') }}
-- depends_on: {{ ref('int_product_properties_at_build') }}
-- depends_on: {{ ref('int_properties_not_in_salesforce') }}
-- depends_on: {{ ref('feature_sync_guard') }}
{{ config(
    tags=['after_sync'],
    warn_if='> 0',
    error_if='> count(is_tolerated)',
    store_failures=true,
    schema='staging',
    alias='feature_sync_proof',
    meta={'advice': none},
) }}
{%- if is_before_sync() %}
{#- Before the sync there is nothing to prove. #}
select
    cast(null as {{ dbt.type_string() }}) as salesforce_id,
    cast(null as {{ dbt.type_string() }}) as snappt_property_id_c,
    cast(null as {{ dbt.type_string() }}) as finding,
    1 as is_tolerated
where false
{%- else %}
with now as (
    {{ compare_properties() | indent(4) }}
),

missing as (
    select distinct
        property_id,
        cast(null as {{ dbt.type_string() }}) as sync_exception,
        true as has_feature_row
    from {{ ref('stg_rds__properties') }}
    where
        property_id is not null
        and property_id not in (
            select records.snappt_property_id_c
            from {{ ref('base_salesforce__product_properties') }} as records
            where records.snappt_property_id_c is not null
        )
),

totals as (
    {{ salesforce_totals('now', prefix='current_') }}
),

{{ guard_ctes('now', 'totals', 'missing') }},

differing as (
    select
        now.salesforce_id,
        now.snappt_property_id_c,
        at_build.salesforce_id is null and listed.snappt_property_id_c is null as is_new,
        greatest(
            {%- for product in product_features() %}
            {%- set now = product_state(product, 'now.') %}
            {%- set listed = product_state(product, 'listed.') %}
            {%- set at_build = product_state(product, 'at_build.') %}
            case
                when {{ now }} = {{ product_state(product, 'now.current_') }} then 0
                when at_build.salesforce_id is null and {{ now }} <> {{ listed }} then 1
                when at_build.salesforce_id is null then 3
                when {{ now }} <> {{ at_build }} then 1
                when {{ at_build }} <> {{ product_state(product, 'at_build.current_') }} then 3
                else 2
            end
            {%- if not loop.last %},{% endif %}
            {%- endfor %}
        ) as finding_rank
    from now
    left join {{ ref('int_product_properties_at_build') }} as at_build
        on now.salesforce_id = at_build.salesforce_id
    left join {{ ref('int_properties_not_in_salesforce') }} as listed
        on now.snappt_property_id_c = listed.snappt_property_id_c
    where
        now.is_mismatched
        and now.sync_exception is null
        and at_build.sync_exception is null
),

findings as (
    select
        salesforce_id,
        snappt_property_id_c,
        case
            when is_new then 'new_in_salesforce'
            when finding_rank = 3 then 'not_arrived'
            when finding_rank = 2 then 'changed_in_salesforce'
            else 'changed_at_the_source'
        end as finding,
        count(case when is_new then 1 end) over () as new_records
    from differing
)

select
    findings.salesforce_id,
    findings.snappt_property_id_c,
    findings.finding,
    case
        when findings.finding = 'changed_at_the_source' then 1
        when
            findings.finding = 'new_in_salesforce'
            and findings.new_records
            <= {{ var('guard_max_create_share') }} * guard.application_properties
            then 1
    end as is_tolerated
from findings
cross join guard

union all

select
    null as salesforce_id,
    null as snappt_property_id_c,
    'guard_is_tripped' as finding,
    null as is_tolerated
from guard
where is_tripped or not coalesce({{ guard_is_open() }}, false)
{%- endif %}
