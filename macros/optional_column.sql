{% macro optional_column(var_name) %}
    {% set column = var(var_name) %}
    {{ return(none if column in (none, "none") else column) }}
{% endmacro %}


{% macro optional_columns() %}
    {% set columns = {} %}
    {% for name in ["salesforce_deleted_column", "salesforce_last_modified_column", "salesforce_loaded_at_column"] %}
        {% if optional_column(name) %}
            {% do columns.update({optional_column(name): name}) %}
        {% endif %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{% macro is_deleted(records="") %}
    {% set column = optional_column("salesforce_deleted_column") %}
    {{ return("coalesce(" ~ records ~ column ~ ", false)" if column else "false") }}
{% endmacro %}
