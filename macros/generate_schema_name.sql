{# Seeds stand in for source tables, so they take the schema as it is written; models keep dbt's rule. #}
{% macro generate_schema_name(custom_schema_name, node) %}
    {% if node.resource_type == "seed" %}
        {{ return(custom_schema_name) }}
    {% endif %}
    {{ return(default__generate_schema_name(custom_schema_name, node)) }}
{% endmacro %}
