{# The one clock. A literal makes a run reproducible; without one the views move on with the engine's date. #}
{% macro as_of_date() %}
    {% set given = var("as_of_date") %}
    {% if given is none %}
        {{ return("current_date") }}
    {% endif %}

    {% set parts = modules.re.fullmatch("([0-9]{4})-(0[1-9]|1[0-2])-([0-9]{2})", given | string) %}
    {% set year, month, day = (parts[1] | int, parts[2] | int, parts[3] | int) if parts else (0, 0, 0) %}
    {% set is_leap_year = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) %}
    {% set february = 29 if is_leap_year else 28 %}
    {% set days_in_month = [0, 31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] %}
    {% if year == 0 or not 1 <= day <= days_in_month[month] %}
        {{ exceptions.raise_compiler_error(
            "var as_of_date is '" ~ given ~ "', expected a calendar day as YYYY-MM-DD, for example"
            ~ " --vars 'as_of_date: 2025-11-21'; leave it out for the current date."
        ) }}
    {% endif %}
    {{ return("cast('" ~ given ~ "' as date)") }}
{% endmacro %}
