{# A file that ends too early at the end of a line is a good file to DuckDB. Called in the seed's transaction, so that
   the table keeps what it held before. #}
{% macro check_seed_is_whole() %}
    {% if execute %}
        {% set found = run_query("select count(*) from " ~ this).columns[0].values() | first %}
        {% if found != model.config.meta.rows %}
            {{ exceptions.raise_compiler_error(
                "seeds/" ~ this.identifier ~ ".csv has " ~ found ~ " rows, expected " ~ model.config.meta.rows
                ~ ": take the file from git again. After a change that is meant, give seeds/_seeds.yml the new number."
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}
