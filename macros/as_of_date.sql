{# The one clock. A literal makes a run reproducible; without one the views move on with the engine's date. #}
{% macro as_of_date() %}
    {% set day = var("as_of_date") %}
    {{ return("cast('" ~ day ~ "' as date)" if day else "current_date") }}
{% endmacro %}


{# When the run began, UTC. #}
{% macro built_at() %}
    {{ return("timestamp '" ~ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") ~ "'") }}
{% endmacro %}
