{# What each data test that failed or warned means and what to do, as its meta.advice says. #}
{% macro failed_test_advice(results) %}
    {% set sentences = [] %}
    {% for result in results if result.status | string in ["fail", "warn"] and result.node.config.meta.advice %}
        {% do sentences.append(result.node.name ~ " found " ~ with_separators(result.failures) ~ ". " ~ result.node.config.meta.advice) %}
    {% endfor %}
    {{ return(sentences) }}
{% endmacro %}
