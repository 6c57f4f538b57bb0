{# Vars of your own that may be passed with --vars. http_path and dev_schema are read by profiles.yml. #}
{% macro own_vars() %}
    {{ return(["http_path", "dev_schema"]) }}
{% endmacro %}


{# Called by the on-run-start hook, which dbt renders while it parses: a wrong var stops every command before any SQL runs.
   The error lists every problem. No other code needs to check, quote or escape these values again. #}
{% macro check_vars() %}
    {% set month_day = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])" %}
    {% set leap_day = "(2000|2[01](0[48]|[2468][048]|[13579][26]))-02-29" %}
    {# By kind: a pattern of the value as JSON, the allowed values in words, and the vars. #}
    {% set kinds = [
        ('"[A-Za-z0-9_-]+"', "a name of letters, digits, _ and -", [
            "salesforce_catalog", "salesforce_schema", "features_catalog", "features_schema", "rds_catalog", "rds_schema",
            "sync_key_prefix",
        ]),
        ('null|"[A-Za-z0-9_]+"', "a column name of letters, digits and _, or none", [
            "salesforce_deleted_column", "salesforce_loaded_at_column", "rds_deleted_column",
        ]),
        ('null|"(2[01][0-9]{2}-(' ~ month_day ~ ")|" ~ leap_day ~ ')"',
            "a calendar day as YYYY-MM-DD in the years 2000 to 2199, or null for the current date", ["as_of_date"]),
        ("[0-9]{1,4}", "a whole number of days from 0 to 9999", ["recent_days"]),
        ("[1-9][0-9]{0,7}", "a whole number from 1 to 99999999", ["backfill_batch_size"]),
        ("null|[1-9][0-9]{0,7}", "a whole number from 1 to 99999999, or null", ["sync_max_rows"] + approval_vars()),
        ("true|false", "true or false", ["compare_feature_dates"]),
        ('"(date|timestamp)"', "date or timestamp", ["feature_date_type"]),
        ("(0([.][0-9]+)?|1([.]0+)?)(e-[0-9]+)?", "a number from 0 to 1", guard_limits() | map(attribute="var") | list),
        ("[0-9]{1,8}", "a whole number from 0 to 99999999", ["guard_min_switch_offs"]),
        ("[1-9][0-9]{0,3}", "a whole number of hours from 1 to 9999", ["guard_max_age_hours"]),
        ('null|"[A-Za-z0-9 .@_+-]+"', "a user, group or service principal of letters, digits, spaces and . @ _ + -, or null",
            ["census_principal"]),
    ] %}
    {% set given = invocation_args_dict.get("vars") or {} %}
    {% set known, problems = own_vars(), [] %}
    {% for pattern, expected, names in kinds %}
        {% for name in names %}
            {% do known.append(name) %}
            {% set value = var(name) %}
            {% set is_json = value is none or value is number or value is boolean %}
            {% set text = value | tojson if is_json else '"' ~ value ~ '"' %}
            {% if not modules.re.fullmatch(pattern, text) %}
                {% do problems.append("The var " ~ name ~ " is " ~ text.replace('"', "'") ~ ", expected " ~ expected ~ ".") %}
            {% endif %}
        {% endfor %}
    {% endfor %}
    {% for name in given if name not in known %}
        {% do problems.append(
            "There is no var " ~ name ~ ". docs/configuration.md lists them; add a var of your own to the macro own_vars in"
            ~ " macros/check_vars.sql."
        ) %}
    {% endfor %}
    {% for name in approval_vars() if var(name) is not none and name not in given %}
        {% do problems.append(
            "The var " ~ name ~ " is for one build: leave it null in dbt_project.yml and pass it with --vars."
        ) %}
    {% endfor %}
    {% if problems %}
        {{ exceptions.raise_compiler_error(problems | join("\n")) }}
    {% endif %}
{% endmacro %}


{% macro approval_vars() %}
    {{ return(["approved_updates", "approved_switch_offs", "approved_creations"]) }}
{% endmacro %}
