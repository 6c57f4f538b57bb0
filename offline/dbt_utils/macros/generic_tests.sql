{% test equal_rowcount(model, compare_model, group_by_columns=[]) %}
    {% if group_by_columns %}
        {{ exceptions.raise_compiler_error("The stand-in for dbt_utils has no group_by_columns in equal_rowcount.") }}
    {% endif %}
    {{ config(fail_calc="sum(difference)") }}
    select abs(
        (select count(*) from {{ model }}) - (select count(*) from {{ compare_model }})
    ) as difference
{% endtest %}


{% test expression_is_true(model, expression, column_name=none) %}
    select 1 as failure
    from {{ model }}
    where not ({{ column_name or '' }} {{ expression }})
{% endtest %}


{% test accepted_range(model, column_name, min_value=none, max_value=none, inclusive=true) %}
    {% set equal = "=" if inclusive else "" %}
    select *
    from {{ model }}
    where false
    {% if min_value is not none %}
        or not {{ column_name }} >{{ equal }} {{ min_value }}
    {% endif %}
    {% if max_value is not none %}
        or not {{ column_name }} <{{ equal }} {{ max_value }}
    {% endif %}
{% endtest %}


{% test not_empty_string(model, column_name, trim_whitespace=true) %}
    select *
    from {{ model }}
    {% if trim_whitespace %}
    where trim(translate({{ column_name }}, chr(9) || chr(10) || chr(13), '   ')) = ''
    {% else %}
    where {{ column_name }} = ''
    {% endif %}
{% endtest %}


{% test unique_combination_of_columns(model, combination_of_columns, quote_columns=false) %}
    {% set columns = [] %}
    {% for column in combination_of_columns %}
        {% do columns.append(adapter.quote(column) if quote_columns else column) %}
    {% endfor %}
    select {{ columns | join(", ") }}
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}
