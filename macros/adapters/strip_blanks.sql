{% macro strip_blanks(text) %}
    {{ return(adapter.dispatch("strip_blanks")(text)) }}
{% endmacro %}


{% macro default__strip_blanks(text) %}
    {{ return("regexp_replace(" ~ text ~ ", '^[\\\\p{Z}\\\\p{Cc}\\\\p{Cf}]+|[\\\\p{Z}\\\\p{Cc}\\\\p{Cf}]+$', '')") }}
{% endmacro %}


{% macro duckdb__strip_blanks(text) %}
    {{ return("regexp_replace(" ~ text ~ ", '^[\\p{Z}\\p{Cc}\\p{Cf}]+|[\\p{Z}\\p{Cc}\\p{Cf}]+$', '', 'g')") }}
{% endmacro %}
