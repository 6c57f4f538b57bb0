{# Compared as dates because Salesforce's date fields cut the time off. #}
{% macro dates_differ(product) -%}
    cast({{ product.start_date }} as date) is distinct from cast(current_{{ product.start_date }} as date)
        or cast({{ product.updated_date }} as date) is distinct from cast(current_{{ product.updated_date }} as date)
{%- endmacro %}
