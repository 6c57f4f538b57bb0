{# `dbt show` would cut the table off after six columns. #}
{% macro show_feature_sync_summary() %}
    {% set select_summary %}
        select * from {{ ref("feature_sync_summary") }}
        order by cohort = 'all', cohort, mismatched desc, product
    {% endset %}
    {% set summary = run_query(select_summary) %}
    {% for row in [summary.column_names] + summary.rows | list %}
        {% set cells = [] %}
        {% for value in row %}
            {% do cells.append("%-23s" | format(value)) %}
        {% endfor %}
        {% do print(cells | join(" ")) %}
    {% endfor %}
{% endmacro %}
