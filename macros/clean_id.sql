{# The first branch spares nearly every id the regular expression, which costs ten times as much. Ids of up to four
   characters never take it, because they may be one of the words. #}
{% macro clean_id(column) %}
    {%- set text = "cast(" ~ column ~ " as " ~ dbt.type_string() ~ ")" -%}
    case
            when
                {{ text }} between '!' and '~'
                and substr({{ text }}, -1) between '!' and '~'
                and length({{ text }}) > 4
                then {{ text }}
            when lower({{ strip_blanks(text) }}) not in ('', 'null', 'none', 'nan')
                then {{ strip_blanks(text) }}
        end
{%- endmacro %}


{# A sync key as Salesforce keeps it: without spaces at its ends, but with any other character. #}
{% macro salesforce_key(column) %}
    {{- "trim(both ' ' from cast(" ~ column ~ " as " ~ dbt.type_string() ~ "))" -}}
{% endmacro %}
