{# The targets that may write to the schemas that Census reads. Add yours here. #}
{% macro production_targets() %}
    {{ return(["prod", "job", "duckdb"]) }}
{% endmacro %}


{# dbt's own rule, but only production targets may write to the schemas that Census reads. The seeds that replace
   source tables take their schema as it is written. #}
{% macro generate_schema_name(custom_schema_name, node) %}
    {% if node.resource_type == "seed" and node.config.meta.rows %}
        {{ return(custom_schema_name) }}
    {% endif %}

    {% set schema = default__generate_schema_name(custom_schema_name, node) | trim %}
    {% if schema | lower in ["sfdc_dbx", "sfdc_dbx_staging"] and target.name not in production_targets() %}
        {{ exceptions.raise_compiler_error(
            "Target '" ~ target.name ~ "' may not write to the production schema " ~ schema ~ ". Give the target a"
            ~ " schema of your own in profiles.yml, for example dbt_yourname; or, if it is a production target, name"
            ~ " it in the macro production_targets."
        ) }}
    {% endif %}
    {{ return(schema) }}
{% endmacro %}
