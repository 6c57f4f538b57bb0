-- One row per Salesforce record and product.
with unpivoted as (
    {% for product in product_features() -%}
    select
        salesforce_id,
        property_name,
        created_at,
        last_modified_at,
        snappt_property_id_c,
        reverse_etl_id_c,
        sync_exception,
        '{{ product.name }}' as product,
        {{ product.flag }} as is_enabled,
        {{ product.start_date }} as started_at,
        {{ product.updated_date }} as updated_at,
        current_{{ product.flag }} as is_enabled_in_salesforce,
        current_{{ product.start_date }} as started_at_in_salesforce,
        current_{{ product.updated_date }} as updated_at_in_salesforce,
        {{ mismatch_kind(product) | indent(8) }} as mismatch_kind
    from {{ ref('int_product_properties_at_build') }}
    {%- if not loop.last %}

    union all

    {% endif %}
    {%- endfor %}
)

select * from unpivoted
