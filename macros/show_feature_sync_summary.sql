{# `dbt show` would cut the table off after six columns. #}
{% macro show_feature_sync_summary() %}
    {% set summary %}
        select * from {{ ref("feature_sync_summary") }}
        order by cohort = 'all', cohort, mismatched desc, product
    {% endset %}
    {% do run_query(summary).print_table(max_rows=none, max_columns=none, max_column_width=30) %}
{% endmacro %}
