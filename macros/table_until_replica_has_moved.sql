{# Databricks may refuse a persistent view that mixes hive_metastore with Unity Catalog. Not in dbt_project.yml, because
   there an expression sees only --vars. #}
{% macro table_until_replica_has_moved() %}
    {% set has_moved = target.type != "databricks" or var("salesforce_catalog") != "hive_metastore" %}
    {{ return("view" if has_moved else "table") }}
{% endmacro %}
