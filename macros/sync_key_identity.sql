{# Salesforce compares external ids without regard to case. #}
{% macro sync_key_identity(key) %}
    {{ return("lower(" ~ key ~ ")") }}
{% endmacro %}
