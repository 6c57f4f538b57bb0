{# Salesforce compares external ids without regard to case, unless the field is defined otherwise. #}
{% macro sync_key_identity(key) %}
    {{ return(key if var("sync_key_is_case_sensitive") else "lower(" ~ key ~ ")") }}
{% endmacro %}
