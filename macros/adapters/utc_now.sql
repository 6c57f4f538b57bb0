{% macro utc_now() %}
    {{ return(adapter.dispatch("utc_now")()) }}
{% endmacro %}


{% macro default__utc_now() %}
    {{ return("current_timestamp()") }}
{% endmacro %}


{# DuckDB's timestamps have no time zone, and its session may have any. #}
{% macro duckdb__utc_now() %}
    {{ return("(current_timestamp at time zone 'UTC')") }}
{% endmacro %}
