{# `dbt show` would cut the table off after six columns. #}
{% macro show_feature_sync_summary() %}
    {% set select_summary %}
        select * from {{ ref("feature_sync_summary") }}
        order by cohort = 'all', cohort, mismatched desc, product
    {% endset %}
    {% set summary = run_query(select_summary) %}
    {% set lines = [summary.column_names] + summary.rows | list %}
    {% for line in lines %}
        {% set cells = [] %}
        {% for value in line %}
            {% set width = lines | map(attribute=loop.index0) | map("string") | map("length") | max %}
            {% do cells.append((value | string).ljust(width)) %}
        {% endfor %}
        {% do print(cells | join("  ")) %}
    {% endfor %}
{% endmacro %}
