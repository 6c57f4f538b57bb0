{# Asked whenever the relation is read. NULL would not be open either. #}
{% macro guard_is_open() -%}
    not (select is_tripped from {{ ref('feature_sync_guard') }})
{%- endmacro %}
