{# Databricks may refuse a persistent view that mixes hive_metastore with Unity Catalog. Not in dbt_project.yml, because
   there an expression sees only --vars. #}
{% macro cross_catalog_materialization() %}
    {% set has_moved = target.type != "databricks" or var("salesforce_catalog") != "hive_metastore" %}
    {{ return("view" if has_moved else "table") }}
{% endmacro %}


{# The opposite, because one table of the comparison is enough. #}
{% macro at_build_materialization() %}
    {{ return("table" if cross_catalog_materialization() == "view" else "view") }}
{% endmacro %}
