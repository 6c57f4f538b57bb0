{# Prints; grants nothing. Only the owner of a view may replace it, so there is one dbt principal for job and people. #}
{% macro print_grants(dbt_principal, census_principal=none) %}
    {% set census_principal = census_principal or var("census_principal") or "census" %}
    {% for name, principal in {"dbt_principal": dbt_principal, "census_principal": census_principal}.items() %}
        {% if not modules.re.fullmatch("[A-Za-z0-9 .@_+-]+", principal | string) %}
            {{ exceptions.raise_compiler_error(
                name ~ " is '" ~ principal ~ "', expected a user, group or service principal (its application id)"
            ) }}
        {% endif %}
    {% endfor %}
    {% set sources = [
        source("salesforce", "product_property_c"),
        source("sfdc_dbx", "product_property_w_features"),
        source("rds", "properties"),
    ] %}
    {% set catalog = "`" ~ target.database ~ "`" %}
    {% set schemas = [
        catalog ~ ".`" ~ ref("product_property_feature_sync").schema ~ "`",
        catalog ~ ".`" ~ ref("int_product_properties_at_build").schema ~ "`",
    ] %}

    {% set lines = ["-- dbt: owns the relations and reads the sources."] %}
    {% set grants = [] %}
    {% for table in sources %}
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
    {% for schema in schemas %}
        {% do lines.append("CREATE SCHEMA IF NOT EXISTS " ~ schema ~ ";") %}
        {% do grants.append("USE SCHEMA ON SCHEMA " ~ schema) %}
        {% do grants.append("CREATE TABLE ON SCHEMA " ~ schema) %}
    {% endfor %}
    {% for grant in grants | unique %}
        {% do lines.append("GRANT " ~ grant ~ " TO `" ~ dbt_principal ~ "`;") %}
    {% endfor %}
    {% do lines.append("-- Not in SQL: CAN USE on the SQL warehouse (SQL Warehouses > the warehouse > Permissions).") %}

    {% do lines.append("\n-- Census: reads four relations. SELECT is renewed at every build for the var census_principal.") %}
    {% set grants = ["USE CATALOG ON CATALOG " ~ catalog, "USE SCHEMA ON SCHEMA " ~ schemas[0]] %}
    {% for relation in census_relations() %}
        {% do grants.append("SELECT ON TABLE " ~ schemas[0] ~ ".`" ~ ref(relation).identifier ~ "`") %}
    {% endfor %}
    {% for grant in grants %}
        {% do lines.append("GRANT " ~ grant ~ " TO `" ~ census_principal ~ "`;") %}
    {% endfor %}
    {% do lines.append("-- Not in SQL: CAN USE on the SQL warehouse.") %}

    {% do lines.append("\n-- Only for Census's Advanced sync engine, which keeps its state in a schema of its own:") %}
    {% do lines.append("CREATE SCHEMA IF NOT EXISTS " ~ catalog ~ ".`CENSUS`;") %}
    {% for privilege in ["USE SCHEMA", "CREATE TABLE", "SELECT", "MODIFY"] %}
        {% do lines.append(
            "GRANT " ~ privilege ~ " ON SCHEMA " ~ catalog ~ ".`CENSUS` TO `" ~ census_principal ~ "`;"
        ) %}
    {% endfor %}
    {% do print(lines | join("\n")) %}
{% endmacro %}
