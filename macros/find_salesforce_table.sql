{% macro find_salesforce_table() %}
    {% set configured = source("salesforce", "product_property_c") %}
    {% set loaded_at = optional_column("salesforce_loaded_at_column") %}
    {% set found = [] %}

    {% do print("Looking for " ~ configured.schema ~ "." ~ configured.identifier ~ ":") %}
    {% for catalog, is_readable in visible_catalogs().items() %}
        {% if not is_readable %}
            {% do print("  " ~ catalog ~ ": may not be read; ask for USE CATALOG to have it searched") %}
        {% else %}
            {% set table = adapter.get_relation(catalog, configured.schema, configured.identifier) %}
            {% if table %}
                {% do found.append(catalog) %}
                {% set columns = adapter.get_columns_in_relation(table) | map(attribute="name") | map("lower") %}
                {% set newest = "max(" ~ loaded_at ~ ")" if loaded_at and loaded_at | lower in columns else "null" %}
                {% set facts = run_query("select count(*), " ~ newest ~ " from " ~ table).rows[0] %}
                {% do print(
                    "  " ~ catalog ~ ": found, " ~ facts[0] ~ " rows, "
                    ~ ("when it was loaded is unknown" if newest == "null" else "newest " ~ loaded_at ~ " " ~ facts[1])
                ) %}
            {% else %}
                {% do print("  " ~ catalog ~ ": not there") %}
            {% endif %}
        {% endif %}
    {% endfor %}

    {% if configured.database in found %}
        {% do print("The var salesforce_catalog is " ~ configured.database ~ ": right.") %}
    {% else %}
        {% do print("The var salesforce_catalog is " ~ configured.database ~ ", and the table is not there.") %}
    {% endif %}
    {% for catalog in found if catalog != configured.database %}
        {% do print("To read it from " ~ catalog ~ ": --vars 'salesforce_catalog: " ~ catalog ~ "'") %}
    {% endfor %}
    {% if not found %}
        {% do print("It was found nowhere: check the var salesforce_schema (now " ~ configured.schema ~ ").") %}
    {% endif %}
{% endmacro %}
