{% macro optional_column(var_name) %}
    {% set column = var(var_name) %}
    {{ return(none if column in (none, "none") else column) }}
{% endmacro %}
