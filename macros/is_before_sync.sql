{# Whether this command builds. Asked in SQL, because a config would be cached by partial parsing. #}
{% macro is_before_sync() %}
    {{ return(flags.WHICH in ["build", "retry"]) }}
{% endmacro %}
