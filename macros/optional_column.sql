{% macro optional_column(var_name) %}
    {% set column = var(var_name) %}
    {{ return(none if column in (none, "none") else column) }}
{% endmacro %}


{% macro optional_columns(source_name="salesforce") %}
    {% set names = {
        "salesforce": ["salesforce_deleted_column", "salesforce_loaded_at_column"],
        "rds": ["rds_deleted_column"],
    } %}
    {% set columns = {} %}
    {% for name in names.get(source_name, []) if optional_column(name) %}
        {% do columns.update({optional_column(name): name}) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{% macro is_deleted(records="") %}
    {% set column = optional_column("salesforce_deleted_column") %}
    {{ return("coalesce(" ~ records ~ column ~ ", false)" if column else "false") }}
{% endmacro %}
