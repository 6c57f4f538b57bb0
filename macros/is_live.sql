{% macro is_live(records="") %}
    {% set deleted_column = optional_column("salesforce_deleted_column") %}
    {{ return("not coalesce(" ~ records ~ deleted_column ~ ", false)" if deleted_column else "true") }}
{% endmacro %}
