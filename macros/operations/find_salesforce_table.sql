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
                {% do print("  " ~ catalog ~ ": does not exist or may not be read") %}
            {% endif %}
        {% endif %}
    {% endfor %}

    {% if configured.database in found %}
        {% do print("The var salesforce_catalog is " ~ configured.database ~ ": correct.") %}
    {% else %}
        {% do print("The var salesforce_catalog is " ~ configured.database ~ ", and no such table can be read there.") %}
    {% endif %}
    {% for catalog in found if catalog != configured.database %}
        {% do print("To read it from " ~ catalog ~ ": --vars 'salesforce_catalog: " ~ catalog ~ "'") %}
    {% endfor %}
    {% if not found %}
        {% do print(
            "No catalog has it, or you may not read it: a SQL warehouse does not list tables without SELECT. Check the var"
            ~ " salesforce_schema (now " ~ configured.schema ~ "), and ask for SELECT."
        ) %}
    {% endif %}
{% endmacro %}
