{# Asked whenever the relation is read. NULL would not be open either. #}
{% macro guard_is_open(guard=none) -%}
    not (select guard.is_tripped from {{ guard or ref('feature_sync_guard') }} as guard)
{%- endmacro %}
