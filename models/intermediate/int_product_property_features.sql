-- One row per Salesforce property that can be synced: what Salesforce should hold, under its own
-- column names, beside what it holds now (`current_…`).
{{ config(materialized=table_until_replica_has_moved()) }}
with properties as (
    select * from {{ ref('stg_salesforce__product_properties') }}
    where sync_exception is null
),

features as (
    select * from {{ ref('stg_sfdc_dbx__product_features') }}
),

compared as (
    select
        properties.salesforce_id,
        properties.property_name,
        properties.created_at,
        properties.last_modified_at,
        properties.snappt_property_id_c,
        properties.reverse_etl_id_c,
        features.property_id is not null as has_feature_row,
        {%- for product in product_features() %}

        -- {{ product.name }}
        {{ expected_columns(product) | indent(4) }},
        properties.{{ product.flag }} as current_{{ product.flag }},
        properties.{{ product.start_date }} as current_{{ product.start_date }},
        properties.{{ product.updated_date }} as current_{{ product.updated_date }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from properties
    left join features on properties.snappt_property_id_c = features.property_id
),

final as (
    select
        *,
        {% for product in product_features() -%}
        {{ product.flag }} is distinct from current_{{ product.flag }}
        {%- if var('compare_feature_dates') %}
        or {{ dates_differ(product) }}
        {%- endif %}
        {%- if not loop.last %}
        or {% endif %}
        {%- endfor %} as is_mismatched
    from compared
)

select * from final
