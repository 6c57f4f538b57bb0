{# Called by the on-run-start hook, which dbt renders while it parses: a wrong var stops every command before any SQL runs.
   All that is wrong is said at once. What is checked here need not be checked, quoted or escaped anywhere else. #}
{% macro check_vars() %}
    {% set kinds = {
        "salesforce_catalog": "name",
        "salesforce_schema": "name",
        "features_catalog": "name",
        "features_schema": "name",
        "rds_catalog": "name",
        "rds_schema": "name",
        "compare_with_catalog": "name",
        "salesforce_deleted_column": "column or none",
        "salesforce_last_modified_column": "column or none",
        "salesforce_loaded_at_column": "column or none",
        "salesforce_warn_after_hours": "count from 1",
        "salesforce_error_after_hours": "count or null",
        "salesforce_freshness_table": "table or null",
        "salesforce_freshness_column": "column or none",
        "features_warn_after_hours": "count from 1",
        "features_error_after_hours": "count or null",
        "rds_deleted_column": "column or none",
        "sync_key_prefix": "name",
        "sync_key_is_case_sensitive": "true or false",
        "recreate_deleted_properties": "true or false",
        "as_of_date": "day or null",
        "recent_days": "days",
        "sync_max_rows": "count or null",
        "backfill_batch_size": "count from 1",
        "compare_feature_dates": "true or false",
        "feature_date_type": "date or timestamp",
        "guard_min_feature_rows": "count from 0",
        "guard_min_match_share": "share",
        "guard_max_exception_share": "share",
        "guard_max_unset_share": "share",
        "guard_max_create_share": "share",
        "guard_max_disable_share": "share",
        "guard_min_disables": "count from 0",
        "allow_mass_switch_off": "true or false",
        "allow_mass_create": "true or false",
        "allow_new_field": "true or false",
        "census_principal": "principal or null",
        "salesforce_base_url": "address or null",
        "production_schema": "name",
        "production_targets": "list of names",
        "own_vars": "list of names",
    } %}
    {% set expected = {
        "name": "a name of letters, digits, _ and -",
        "table or null": "a table as catalog.schema.table, of letters, digits, _ and -, or null",
        "column or none": "a column name of letters, digits and _, or none",
        "count from 0": "a whole number from 0 to 100000000",
        "count from 1": "a whole number from 1 to 100000000",
        "count or null": "a whole number from 1 to 100000000, or null",
        "days": "a whole number from 0 to 36500",
        "day or null": "a calendar day as YYYY-MM-DD, or null for the current date",
        "true or false": "true or false",
        "date or timestamp": "date or timestamp",
        "share": "a number from 0 to 1",
        "principal or null": "a user, group or service principal of letters, digits, spaces and . @ _ + -, or null",
        "address or null": "an https address without a path, or null",
        "list of names": "a list of names of letters, digits, _ and -",
    } %}

    {% set problems = [] %}
    {# http_path and dev_schema are read by profiles.yml. #}
    {% set own_vars = var("own_vars") if var("own_vars") is sequence and var("own_vars") is not string else [] %}
    {% set known = kinds.keys() | list + ["http_path", "dev_schema"] + own_vars %}
    {% for given in invocation_args_dict.get("vars") or {} if given not in known %}
        {% do problems.append(
            "There is no var " ~ given ~ ". Did you mean " ~ most_similar(given, kinds.keys() | list) ~ "? A var of your own"
            ~ " must be listed in the var own_vars in dbt_project.yml."
        ) %}
    {% endfor %}

    {% for name, kind in kinds.items() %}
        {% set value = var(name) %}
        {% set text = value | string %}
        {% if kind == "name" %}
            {% set is_right = value is string and modules.re.fullmatch("[A-Za-z0-9_-]+", text) %}
        {% elif kind == "column or none" %}
            {% set is_right = value is none or value is string and modules.re.fullmatch("[A-Za-z0-9_]+", text) %}
        {% elif kind == "table or null" %}
            {% set is_right = value is none or modules.re.fullmatch("[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+){2}", text) %}
        {% elif kind in ["count from 0", "count from 1"] %}
            {% set is_right = value is integer and value is not boolean and kind[-1] | int <= value <= 100000000 %}
        {% elif kind == "count or null" %}
            {% set is_right = value is none or value is integer and value is not boolean and 1 <= value <= 100000000 %}
        {% elif kind == "days" %}
            {% set is_right = value is integer and value is not boolean and 0 <= value <= 36500 %}
        {% elif kind == "date or timestamp" %}
            {% set is_right = value in ["date", "timestamp"] %}
        {% elif kind == "day or null" %}
            {% set is_right = value is none or is_calendar_day(text) %}
        {% elif kind == "true or false" %}
            {% set is_right = value is boolean %}
        {% elif kind == "share" %}
            {% set is_right = value is number and value is not boolean and 0 <= value <= 1 %}
        {% elif kind == "address or null" %}
            {% set is_right = value is none or modules.re.fullmatch("https://[A-Za-z0-9.-]+", text) %}
        {% elif kind == "principal or null" %}
            {% set is_right = value is none or modules.re.fullmatch("[A-Za-z0-9 .@_+-]+", text) %}
        {% else %}
            {% set is_right = value is iterable and value is not string
                and value | reject("string") | list | length == 0
                and modules.re.fullmatch("([A-Za-z0-9_-]+ ?)*", value | join(" ")) %}
        {% endif %}
        {% if not is_right %}
            {% do problems.append(
                "The var " ~ name ~ " is " ~ ("'" ~ value ~ "'" if value is string else value | string | lower)
                ~ ", expected " ~ expected[kind] ~ "."
            ) %}
        {% endif %}
    {% endfor %}

    {% if (var("salesforce_freshness_table") is none) != (optional_column("salesforce_freshness_column") is none) %}
        {% do problems.append(
            "The vars salesforce_freshness_table and salesforce_freshness_column go together: set both or none."
        ) %}
    {% endif %}
    {% for override in ["allow_mass_switch_off", "allow_mass_create", "allow_new_field"] %}
        {% if var(override) and override not in (invocation_args_dict.get("vars") or {}) %}
            {% do problems.append(
                "The var " ~ override ~ " is for one run: leave it false in dbt_project.yml and pass it with --vars."
            ) %}
        {% endif %}
    {% endfor %}
    {% if problems %}
        {{ exceptions.raise_compiler_error(problems | join("\n")) }}
    {% endif %}
{% endmacro %}


{% macro is_calendar_day(text) %}
    {% set parts = modules.re.fullmatch("([0-9]{4})-(0[1-9]|1[0-2])-([0-9]{2})", text) %}
    {% set year, month, day = (parts[1] | int, parts[2] | int, parts[3] | int) if parts else (0, 0, 0) %}
    {% set is_leap_year = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) %}
    {% set february = 29 if is_leap_year else 28 %}
    {% set days_in_month = [0, 31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] %}
    {{ return(year > 0 and 1 <= day <= days_in_month[month]) }}
{% endmacro %}


{# The name that shares the most pairs of neighbouring letters, for its length. #}
{% macro most_similar(text, names) %}
    {% set best = {"name": names[0], "score": -1} %}
    {% for name in names %}
        {% set pairs = [] %}
        {% for position in range(name | length - 1) if name[position : position + 2] in text %}
            {% do pairs.append(position) %}
        {% endfor %}
        {% set score = pairs | length / (name | length + text | length) %}
        {% if score > best.score %}
            {% do best.update({"name": name, "score": score}) %}
        {% endif %}
    {% endfor %}
    {{ return(best.name) }}
{% endmacro %}
