{# Expects the columns of int_product_properties_compared. #}
{% macro mismatch_kind(product) -%}
{%- set current = 'current_' ~ product.flag -%}
case
    when {{ product.flag }} and not coalesce({{ current }}, false) then 'missing_in_salesforce'
    when {{ current }} and not {{ product.flag }} then 'left_on_in_salesforce'
    when {{ current }} is null then 'never_set_in_salesforce'
    {%- if var('compare_feature_dates') %}
    when {{ dates_differ(product) }} then 'dates_differ'
    {%- endif %}
end
{%- endmacro %}


{# Compared as dates because Salesforce's date fields cut the time off. #}
{% macro dates_differ(product) -%}
    cast({{ product.start_date }} as date) is distinct from cast(current_{{ product.start_date }} as date)
        or cast({{ product.updated_date }} as date) is distinct from cast(current_{{ product.updated_date }} as date)
{%- endmacro %}
