-- The proof after the sync: Salesforce's flags are the true ones. Compared by EXCEPT and from the
-- staging views, so that neither a fault nor a stale table in the intermediate model can hide one.
{{ config(tags=['post_sync']) }}
{%- set with_dates = var('compare_feature_dates') %}

with properties as (
    select * from {{ ref('stg_salesforce__product_properties') }}
    where sync_exception is null
),

features as (
    select * from {{ ref('stg_sfdc_dbx__product_features') }}
),

expected as (
    select
        properties.reverse_etl_id_c,
        {%- for product in product_features() %}
        {%- set prefix = product.source_prefix %}
        {%- if with_dates %}
        cast(features.{{ prefix }}_enabled_at as date) as {{ product.start_date }},
        cast(features.{{ prefix }}_updated_at as date) as {{ product.updated_date }},
        {%- endif %}
        coalesce(features.{{ prefix }}_enabled, false) as {{ product.flag }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from properties
    left join features on properties.snappt_property_id_c = features.property_id
),

current_state as (
    select
        reverse_etl_id_c,
        {%- for product in product_features() %}
        {%- if with_dates %}
        cast({{ product.start_date }} as date) as {{ product.start_date }},
        cast({{ product.updated_date }} as date) as {{ product.updated_date }},
        {%- endif %}
        {{ product.flag }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from properties
)

select * from expected
except
select * from current_state
