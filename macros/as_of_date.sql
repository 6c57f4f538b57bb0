{# The one clock. A literal makes a run reproducible; without one the views move on with the engine's date. #}
{% macro as_of_date() %}
    {% set given = var("as_of_date") %}
    {% if given is none %}
        {{ return("current_date") }}
    {% endif %}

    {% set parts = modules.re.fullmatch("(\d{4})-(0[1-9]|1[0-2])-(\d{2})", given | string) %}
    {% set is_calendar_day = false %}
    {% if parts and parts[1] | int > 0 %}
        {% set any_day_of_next_month = modules.datetime.date(parts[1] | int, parts[2] | int, 28)
            + modules.datetime.timedelta(days=4) %}
        {% set last_day = (any_day_of_next_month - modules.datetime.timedelta(days=any_day_of_next_month.day)).day %}
        {% set is_calendar_day = 1 <= parts[3] | int <= last_day %}
    {% endif %}
    {% if not is_calendar_day %}
        {{ exceptions.raise_compiler_error(
            "var as_of_date is '" ~ given ~ "', expected a calendar day as YYYY-MM-DD, for example"
            ~ " --vars 'as_of_date: 2025-11-21'; leave it out for the current date."
        ) }}
    {% endif %}
    {{ return("cast('" ~ given ~ "' as date)") }}
{% endmacro %}
