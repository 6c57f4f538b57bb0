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
    {% set properties = {"id": "text", "name": "text", "updated_at": "time"} %}
    {% for column in optional_columns("rds") %}
        {% do properties.update({column: "boolean or time"}) %}
    {% endfor %}
    {{ return({
        "salesforce.product_property_c": salesforce,
        "sfdc_dbx.product_property_w_features": features,
        "rds.properties": properties,
    }) }}
{% endmacro %}


{% macro check_sources(only_faults=false) %}
    {# Whole numbers count as text, because ids are read as text. #}
    {% set text_types = ["string", "varchar", "char", "text", "tinyint", "smallint", "int", "integer", "bigint"] %}
    {% set time_types = ["date", "timestamp", "timestamp_ntz", "timestamp with time zone", "datetime"] %}
    {% set types = {
        "text": text_types, "boolean": ["boolean"], "time": time_types, "boolean or time": ["boolean"] + time_types
    } %}
    {% set visible = visible_catalogs() %}
    {% set has_seeds = graph.nodes.values() | selectattr("resource_type", "equalto", "seed") | list | length > 0 %}
    {% set faults = [] %}

    {% set tables = {} %}
    {% for name in required_columns() %}
        {% set table = source(name.split(".")[0], name.split(".")[1]) %}
        {% do tables.setdefault(table.database, []).append(table) %}
    {% endfor %}
    {% set found = {} %}
    {% for catalog in tables if visible.get(catalog) %}
        {% do found.update(columns_of(catalog, tables[catalog])) %}
    {% endfor %}

    {% for name, columns in required_columns().items() %}
        {% set table = source(name.split(".")[0], name.split(".")[1]) %}
        {% set vars = {"salesforce": "salesforce", "sfdc_dbx": "features", "rds": "rds"}[name.split(".")[0]] %}
        {% set where_to_look = "check the vars " ~ vars ~ "_catalog and " ~ vars ~ "_schema"
            ~ (", or run `dbt run-operation find_salesforce_table`" if vars == "salesforce" else "") %}
        {% set optional = optional_columns(vars) %}
        {% set before = faults | length %}
        {% if table.database not in visible %}
            {% do faults.append(table ~ ": there is no catalog " ~ table.database ~ ": " ~ where_to_look) %}
        {% elif not visible[table.database] %}
            {% do faults.append(table ~ ": the catalog " ~ table.database ~ " may not be read: ask for USE CATALOG") %}
        {% elif not found[table | string] %}
            {% do faults.append(
                table ~ ": does not exist or may not be read: " ~ where_to_look
                ~ (", or run `dbt seed` first" if has_seeds else ", or ask for SELECT")
            ) %}
        {% else %}
            {% for column, kind in columns.items() %}
                {% set type = found[table | string].get(column | lower) %}
                {% if not type %}
                    {% do faults.append(
                        table ~ "." ~ column ~ ": missing: " ~ (
                            "check the var " ~ optional[column] ~ ", or set it to none"
                            if column in optional else "add the column to the table"
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
        {% if faults | length == before and not only_faults %}
            {% do print(table ~ ": all " ~ columns | length ~ " columns are there") %}
        {% endif %}
    {% endfor %}

    {% if faults %}
        {{ exceptions.raise_compiler_error(faults | length ~ " fault(s) in the sources:\n" ~ faults | join("\n")) }}
    {% endif %}
    {% do warn_about_new_products(found[source("sfdc_dbx", "product_property_w_features") | string]) %}
{% endmacro %}


{# Not before the proof: the build has just done it, and each statement is a round trip. #}
{% macro check_sources_before_run() %}
    {% set is_proof = invocation_args_dict.get("selector") == "after_sync" %}
    {% if execute and flags.WHICH in ["build", "run", "test"] and not is_proof %}
        {% do check_sources(only_faults=true) %}
    {% endif %}
{% endmacro %}


{# A product that the features table has and the mapping lacks would never reach Salesforce, and nothing else says so. #}
{% macro warn_about_new_products(feature_columns) %}
    {% set prefixes = product_features() | map(attribute="source_prefix") | list %}
    {% for column in feature_columns if column.endswith("_enabled") and column[:-8] not in prefixes %}
        {% do exceptions.warn(
            "The features table has the flag " ~ column ~ ", which no product of the mapping reads, so it never reaches"
            ~ " Salesforce. To add the product: 1. enter it in macros/product_features.sql, 2. add its columns to the"
            ~ " contracts and sources, 3. add its three fields to the Census mapping. CONTRIBUTING.md has the details."
        ) %}
    {% endfor %}
{% endmacro %}
