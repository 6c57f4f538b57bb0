{# `dbt build` includes the seeds, and reloading a stand-in for a source table would undo a simulated sync. So only
   `dbt seed` reloads one that exists; it also recreates the table when the columns have changed, without --full-refresh.
   Seeds of your own, which do not declare meta.rows, behave as usual. #}
{% materialization seed, adapter="duckdb" %}
    {% set table = load_relation(this) if model.config.meta.rows else none %}
    {% if table %}
        {% if flags.WHICH != "seed" %}
            {# dbt wants a table to report. #}
            {% do store_result("agate_table", response="OK", agate_table=run_query("select 1 where false")) %}
            {% call noop_statement("main", "KEPT", "KEPT", 0) %}{% endcall %}
            {{ return({"relations": [table]}) }}
        {% endif %}
        {% set columns = adapter.get_columns_in_relation(table) | map(attribute="name") | list %}
        {% if columns != model.config.column_types.keys() | list %}
            {% do adapter.drop_relation(table) %}
        {% endif %}
    {% endif %}
    {{ return(dbt.materialization_seed_default()) }}
{% endmaterialization %}


{# A file that was cut off at the end of a line is a good file to DuckDB. Called inside the seed's transaction, so that the
   table keeps its rows. #}
{% macro check_seed_is_whole() %}
    {% if execute and model.config.meta.rows %}
        {% set found = run_query("select count(*) from " ~ this).columns[0].values() | first %}
        {% if found != model.config.meta.rows %}
            {{ exceptions.raise_compiler_error(
                "seeds/" ~ this.identifier ~ ".csv has " ~ found ~ " rows, expected " ~ model.config.meta.rows
                ~ ". Restore the file from git, or run make seeds."
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}
