{# The columns of some tables in one catalog, from one query: by table, the type by column. A table that is not there, or
   that one may not see, has none. #}
{% macro columns_of(catalog, tables) %}
    {% set columns = {} %}
    {% for table in tables %}
        {% do columns.update({table | string: {}}) %}
    {% endfor %}
    {% for table, column, type in adapter.dispatch("columns_of")(catalog, tables) %}
        {% do columns[table].update({column | lower: type | lower}) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{% macro default__columns_of(catalog, tables) %}
    {% set found = [] %}
    {# hive_metastore has no information_schema; in that of Unity Catalog names are in lower case. #}
    {% for table in tables if catalog == "hive_metastore" %}
        {% set relation = adapter.get_relation(table.database, table.schema, table.identifier) %}
        {% for column in adapter.get_columns_in_relation(relation) if relation %}
            {% do found.append((table | string, column.name, column.dtype)) %}
        {% endfor %}
    {% endfor %}
    {% if catalog != "hive_metastore" %}
        {% set select_columns %}
            {% for table in tables %}
            select '{{ table }}', column_name, full_data_type, ordinal_position
            from {{ adapter.quote(catalog) }}.information_schema.columns
            where table_schema = '{{ table.schema | lower }}' and table_name = '{{ table.identifier | lower }}'
            {{ "union all" if not loop.last }}
            {% endfor %}
            order by 1, 4
        {% endset %}
        {% for row in run_query(select_columns).rows %}
            {% do found.append((row[0], row[1], row[2])) %}
        {% endfor %}
    {% endif %}
    {{ return(found) }}
{% endmacro %}


{% macro duckdb__columns_of(catalog, tables) %}
    {% set found = [] %}
    {% for table in tables %}
        {% set select_columns %}
            select column_name, data_type
            from duckdb_columns()
            where
                database_name = '{{ catalog }}'
                and lower(schema_name) = '{{ table.schema | lower }}'
                and lower(table_name) = '{{ table.identifier | lower }}'
            order by column_index
        {% endset %}
        {% for row in run_query(select_columns).rows %}
            {% do found.append((table | string, row[0], row[1])) %}
        {% endfor %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}
