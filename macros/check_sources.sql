{# The columns that the models read, by source table, each with the kind of type that they can work with. #}
{% macro required_columns() %}
    {% set salesforce = {"id": "text", "name": "text", "created_date": "time"} %}
    {% do salesforce.update({"snappt_property_id_c": "text", "reverse_etl_id_c": "text"}) %}
    {% for column, var_name in optional_columns().items() %}
        {% do salesforce.update({column: "boolean" if var_name == "salesforce_deleted_column" else "time"}) %}
    {% endfor %}
    {% set features = {"property_id": "text"} %}
    {% for product in product_features() %}
        {% set prefix = product.source_prefix %}
        {% do salesforce.update({
            product.flag: "boolean", product.start_date: "time", product.updated_date: "time"
        }) %}
        {% do features.update({
            prefix ~ "_enabled": "boolean", prefix ~ "_enabled_at": "time", prefix ~ "_updated_at": "time"
        }) %}
    {% endfor %}
    {{ return({
        "salesforce.product_property_c": salesforce,
        "sfdc_dbx.product_property_w_features": features,
        "rds.properties": {"id": "text", "name": "text", "created_at": "time", "updated_at": "time"},
    }) }}
{% endmacro %}


{% macro check_sources(only_faults=false) %}
    {# Whole numbers count as text, because ids are read as text. #}
    {% set types = {
        "text": ["string", "varchar", "char", "text", "tinyint", "smallint", "int", "integer", "bigint"],
        "boolean": ["boolean"],
        "time": ["date", "timestamp", "timestamp_ntz", "timestamp with time zone", "datetime"],
    } %}
    {% set visible = visible_catalogs() %}
    {% set has_seeds = graph.nodes.values() | selectattr("resource_type", "equalto", "seed") | list | length > 0 %}
    {% set faults = [] %}

    {% for name, columns in required_columns().items() %}
        {% set table = source(name.split(".")[0], name.split(".")[1]) %}
        {% set vars = {"salesforce": "salesforce", "sfdc_dbx": "features", "rds": "rds"}[name.split(".")[0]] %}
        {% set where_to_look = "check the vars " ~ vars ~ "_catalog and " ~ vars ~ "_schema"
            ~ (", or run `dbt run-operation find_salesforce_table`" if vars == "salesforce" else "") %}
        {% set before = faults | length %}
        {% if table.database not in visible %}
            {% do faults.append(table ~ ": there is no catalog " ~ table.database ~ ": " ~ where_to_look) %}
        {% elif not visible[table.database] %}
            {% do faults.append(table ~ ": the catalog " ~ table.database ~ " may not be read: ask for USE CATALOG") %}
        {% else %}
            {% set relation = adapter.get_relation(table.database, table.schema, table.identifier) %}
            {% if not relation %}
                {% do faults.append(
                    table ~ ": not there: " ~ where_to_look ~ (", or run `dbt seed` first" if has_seeds else "")
                ) %}
            {% else %}
                {% set found = {} %}
                {% for column in adapter.get_columns_in_relation(relation) %}
                    {% do found.update({column.name | lower: column.dtype | lower}) %}
                {% endfor %}
                {% for column, kind in columns.items() %}
                    {% set type = found.get(column | lower) %}
                    {% if not type %}
                        {% do faults.append(
                            table ~ "." ~ column ~ ": missing: " ~ (
                                "check the var " ~ optional_columns()[column] ~ ", or set it to none"
                                if column in optional_columns() else "add the column to the table"
                            )
                        ) %}
                    {% elif type.split("(")[0] not in types[kind] %}
                        {% do faults.append(
                            table ~ "." ~ column ~ ": is " ~ type ~ ", expected " ~ types[kind] | join(" or ")
                            ~ ": change the type at the source"
                        ) %}
                    {% endif %}
                {% endfor %}
            {% endif %}
        {% endif %}
        {% if faults | length == before and not only_faults %}
            {% do print(table ~ ": all " ~ columns | length ~ " columns are there") %}
        {% endif %}
    {% endfor %}

    {% if faults %}
        {{ exceptions.raise_compiler_error(faults | length ~ " fault(s) in the sources:\n" ~ faults | join("\n")) }}
    {% endif %}
{% endmacro %}
