{# Jinja cannot catch an error, so whether a catalog may be read is asked before it is read. #}
{% macro visible_catalogs() %}
    {{ return(adapter.dispatch("visible_catalogs")()) }}
{% endmacro %}


{% macro default__visible_catalogs() %}
    {% set catalogs = run_query("show catalogs").columns[0].values() %}
    {# Unity Catalog lists the schemas only of catalogs that one may use. hive_metastore is not among them; if it is
       listed at all, it may be used. #}
    {% set usable = ["hive_metastore"] %}
    {% if "system" in catalogs %}
        {% set schemata = run_query("select distinct catalog_name from system.information_schema.schemata") %}
        {% do usable.extend(schemata.columns[0].values()) %}
    {% endif %}
    {% set visible = {} %}
    {% for catalog in catalogs if catalog != "system" %}
        {% do visible.update({catalog: catalog in usable}) %}
    {% endfor %}
    {{ return(visible) }}
{% endmacro %}


{% macro duckdb__visible_catalogs() %}
    {% set catalogs = run_query("select database_name from duckdb_databases() where not internal order by all") %}
    {% set visible = {} %}
    {% for catalog in catalogs.columns[0].values() %}
        {% do visible.update({catalog: true}) %}
    {% endfor %}
    {{ return(visible) }}
{% endmacro %}
