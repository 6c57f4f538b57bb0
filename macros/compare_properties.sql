{# The comparison, written once: the model and the proof after the sync both use it. SELECT statement with one row per
   Salesforce record that is not deleted. #}
{% macro compare_properties() -%}
with properties as (
    select * from {{ ref('int_product_properties_validated') }}
),

features as (
    select * from {{ ref('int_product_features_latest') }}
),

ids_in_another_format as (
    select * from {{ ref('int_ids_in_another_format') }}
),

compared as (
    select
        properties.salesforce_id,
        properties.property_name,
        properties.created_at,
        properties.last_modified_at,
        properties.snappt_property_id_c,
        properties.reverse_etl_id_c,
        coalesce(
            properties.sync_exception,
            case
                when features.property_id is null and ids_in_another_format.other_property_id is not null
                    then 'id_in_another_format'
            end
        ) as sync_exception,
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
    left join ids_in_another_format
        on properties.snappt_property_id_c = ids_in_another_format.snappt_property_id_c
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
{%- endmacro %}


{# A product's flag, and its days where dates are compared, as one text that two sides can be compared by. `side` is a table,
   with the prefix `current_` for Salesforce's side. #}
{% macro product_state(product, side) -%}
    {%- set columns = [product.flag] + ([product.start_date, product.updated_date] if var("compare_feature_dates") else []) -%}
    concat_ws(
            '|'
            {%- for column in columns %},
            coalesce(cast({{ side ~ column if loop.first else "cast(" ~ side ~ column ~ " as date)" }} as {{ dbt.type_string() }}), '')
            {%- endfor %}
        )
{%- endmacro %}
