{# True if this command builds; dbt retry counts as the command that it repeats. Asked in SQL, because a config would be
   cached by partial parsing. #}
{% macro is_before_sync() %}
    {{ return(flags.WHICH == "build") }}
{% endmacro %}
