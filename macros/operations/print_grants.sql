{# Prints; grants nothing. Only the owner of a view may replace it, so there is one dbt principal for job and people. #}
{% macro print_grants(dbt_principal=none, census_principal=none) %}
    {% if dbt_principal is none and census_principal is none %}
        {{ exceptions.raise_compiler_error("Give dbt_principal before the first build, census_principal after it, or both.") }}
    {% endif %}
    {% for name, principal in {"dbt_principal": dbt_principal, "census_principal": census_principal}.items() %}
        {% if principal is not none and not modules.re.fullmatch("[A-Za-z0-9 .@_+-]+", principal | string) %}
            {{ exceptions.raise_compiler_error(
                name ~ " is '" ~ principal ~ "', expected a user, group or service principal (its application id)"
            ) }}
        {% endif %}
    {% endfor %}
    {% set catalog = "`" ~ target.database ~ "`" %}
    {% set census_schema = catalog ~ ".`" ~ ref("product_property_feature_sync").schema ~ "`" %}
    {% set internal_schema = catalog ~ ".`" ~ ref("int_product_properties_at_build").schema ~ "`" %}
    {% set warehouse = "-- Not in SQL: CAN USE on the SQL warehouse (SQL Warehouses > the warehouse > Permissions)." %}
    {% set lines = [] %}

    {% if dbt_principal is not none %}
        {% set grants = [] %}
        {% for table in [
            source("salesforce", "product_property_c"),
            source("sfdc_dbx", "product_property_w_features"),
            source("rds", "properties"),
        ] %}
            {% set schema = "`" ~ table.database ~ "`.`" ~ table.schema ~ "`" %}
            {% if table.database == "hive_metastore" %}
                {% do grants.append("USAGE ON SCHEMA " ~ schema) %}
            {% else %}
                {% do grants.append("USE CATALOG ON CATALOG `" ~ table.database ~ "`") %}
                {% do grants.append("USE SCHEMA ON SCHEMA " ~ schema) %}
            {% endif %}
            {% do grants.append("SELECT ON TABLE " ~ schema ~ ".`" ~ table.identifier ~ "`") %}
        {% endfor %}
        {% do grants.append("USE CATALOG ON CATALOG " ~ catalog) %}
        {% do lines.append("-- dbt: owns the relations and reads the sources.") %}
        {% for schema in [census_schema, internal_schema] %}
            {% do lines.append("CREATE SCHEMA IF NOT EXISTS " ~ schema ~ ";") %}
            {% do grants.append("USE SCHEMA ON SCHEMA " ~ schema) %}
            {% do grants.append("CREATE TABLE ON SCHEMA " ~ schema) %}
        {% endfor %}
        {% for grant in grants | unique %}
            {% do lines.append("GRANT " ~ grant ~ " TO `" ~ dbt_principal ~ "`;") %}
        {% endfor %}
        {% do lines.append(warehouse) %}
    {% endif %}

    {% if census_principal is not none %}
        {% set grants = ["USE CATALOG ON CATALOG " ~ catalog, "USE SCHEMA ON SCHEMA " ~ census_schema] %}
        {% for relation in census_relations() %}
            {% do grants.append("SELECT ON TABLE " ~ census_schema ~ ".`" ~ ref(relation).identifier ~ "`") %}
        {% endfor %}
        {% do lines.append("-- Census: reads relations that the first build creates. Every build renews SELECT for the var census_principal.") %}
        {% for grant in grants %}
            {% do lines.append("GRANT " ~ grant ~ " TO `" ~ census_principal ~ "`;") %}
        {% endfor %}
        {% do lines.append(warehouse) %}
        {% do lines.append("-- Only for Census's Advanced sync engine, which keeps its state in this schema:") %}
        {% do lines.append("CREATE SCHEMA IF NOT EXISTS " ~ catalog ~ ".`CENSUS`;") %}
        {% for privilege in ["USE SCHEMA", "CREATE TABLE", "SELECT", "MODIFY"] %}
            {% do lines.append(
                "GRANT " ~ privilege ~ " ON SCHEMA " ~ catalog ~ ".`CENSUS` TO `" ~ census_principal ~ "`;"
            ) %}
        {% endfor %}
    {% endif %}
    {% do print(lines | join("\n")) %}
{% endmacro %}
