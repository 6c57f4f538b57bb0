{# The guard in words. Returns the counts, or while it is tripped, the exceeded limits and the remedy. #}
{% macro guard_verdict(facts) %}
    {% if not facts %}
        {{ return("The guard has no verdict and nothing is offered to Census. Run dbt build.") }}
    {% elif facts.is_outdated %}
        {{ return(
            "The last build began at " ~ (facts.built_at | string)[:16] ~ " UTC, more than guard_max_age_hours ("
            ~ var("guard_max_age_hours") ~ ") ago, and nothing is offered to Census. Run dbt build."
        ) }}
    {% endif %}
    {% set found, approvals, lasting = [], {}, [] %}
    {% for limit in guard_limits() if facts[limit.column] or not facts.is_tripped %}
        {% set direction = "smaller" if "_min_" in limit.var else "larger" %}
        {% set count = with_separators(facts[limit.counted]) ~ " of " ~ with_separators(facts[limit.of]) ~ " " ~ limit.sentence %}
        {% set count = count.replace("this product", facts.switch_off_product or "any product") %}
        {% do found.append(
            count ~ (", a " ~ direction ~ " share than " ~ limit.var ~ " (" ~ var(limit.var) ~ ")" if facts.is_tripped else "")
        ) %}
        {% do approvals.update({limit.approval: facts[limit.approved] | int}) if limit.approval else lasting.append(limit) %}
    {% endfor %}
    {% if not facts.is_tripped %}
        {{ return("The guard is open: " ~ found | join("; ") ~ ".") }}
    {% endif %}
    {% set sentences = [
        "The guard is tripped and nothing is offered to Census: " ~ found | join("; ") ~ ".",
        "Repair the features table or the replica, then run dbt build.",
    ] %}
    {% if "approved_switch_offs" in approvals %}
        {% do sentences.append(
            "After a wrong mass sync the damage is in Salesforce instead: docs/runbook.md says how to tell."
        ) %}
    {% endif %}
    {% if not lasting %}
        {% do sentences.append(
            "If you have reviewed the change and want it, approve these numbers: " ~ build_command(approvals)
            ~ ". An approval is for one build, and the next hourly build has none: to work in waves, pause the job."
        ) %}
    {% endif %}
    {{ return(sentences | join(" ")) }}
{% endmacro %}


{# The command with the vars and the target of this one, and more vars. #}
{% macro build_command(more_vars) %}
    {% set given = invocation_args_dict.get("vars") or {} %}
    {% set pairs = [] %}
    {% for name, value in dict(given, **more_vars).items() if name not in ["http_path", "dev_schema"] %}
        {% do pairs.append(name ~ ": " ~ value) %}
    {% endfor %}
    {% set target_name = invocation_args_dict.get("target") %}
    {{ return(
        "dbt build " ~ ("--target " ~ target_name ~ " " if target_name else "") ~ "--vars '{" ~ pairs | join(", ") ~ "}'"
    ) }}
{% endmacro %}


{# The row of feature_sync_guard by column name, with is_outdated; none without exactly one row. #}
{% macro guard_facts() %}
    {% set select_guard = "select *, " ~ is_outdated() ~ " as is_outdated from " ~ ref("feature_sync_guard") %}
    {% set found = run_query(select_guard) if execute else none %}
    {% if found and found.rows | length == 1 %}
        {{ return(dict(zip(found.column_names | map("lower"), found.rows[0].values()))) }}
    {% endif %}
    {{ return(none) }}
{% endmacro %}


{% macro with_separators(number) %}
    {{ return("{:,}".format(number | int)) }}
{% endmacro %}
