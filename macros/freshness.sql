{# The columns that say when the rows of a source were last written. #}
{% macro freshness_columns(source_name) %}
    {% set salesforce = [optional_column("salesforce_loaded_at_column")] %}
    {{ return(salesforce if source_name == "salesforce" else feature_columns(["updated_at"])) }}
{% endmacro %}


{# The newest time of a source that can be right. A date counts as its midnight. A time that lies ahead, such as the year
   20225, says nothing about the age, and Python cannot even read it. #}
{% macro newest_time(source_name) %}
    {% set newest = [] %}
    {% for column in freshness_columns(source_name) %}
        {% set time = "cast(" ~ column ~ " as " ~ dbt.type_timestamp() ~ ")" %}
        {% do newest.append(
            "max(case when " ~ time ~ " between timestamp '1900-01-01' and " ~ utc_now() ~ " then " ~ time ~ " end)"
        ) %}
    {% endfor %}
    {{ return(newest[0] if newest | length == 1 else "greatest(" ~ newest | join(", ") ~ ")") }}
{% endmacro %}


{# What `dbt source freshness` found, in sentences; none if there is nothing to say. #}
{% macro freshness_sentences(result) %}
    {% set table = result.node.relation_name %}
    {% set ahead = [] %}
    {% for column in freshness_columns(result.node.source_name) %}
        {% do ahead.append("cast(" ~ column ~ " as " ~ dbt.type_timestamp() ~ ") > " ~ utc_now()) %}
    {% endfor %}
    {% set counts = run_query(
        "select count(*), count(case when " ~ ahead | join(" or ") ~ " then 1 end) from " ~ table
    ).rows[0] %}
    {% set sentences = [] %}
    {% if not counts[0] %}
        {% do sentences.append(table ~ " is empty: rerun the process that fills it.") %}
    {% elif result.max_loaded_at.year == 1 %}
        {% do sentences.append("No row of " ~ table ~ " says when it was last written, so its age is unknown.") %}
    {% elif result.status | string in ["warn", "error"] %}
        {% set limit = result.node.freshness[result.status | string ~ "_after"] %}
        {% do sentences.append(
            "The newest row of " ~ table ~ " is " ~ with_separators(result.age / 3600) ~ " hours old; "
            ~ "_staging__sources.yml allows " ~ limit.count ~ ". On quiet days that is normal. If rows must have changed since,"
            ~ " check the connector; a proof after the sync is only as new as the replica."
        ) %}
    {% endif %}
    {% if counts[1] %}
        {% do sentences.append(
            table ~ " has a time that lies ahead in " ~ with_separators(counts[1]) ~ " of " ~ with_separators(counts[0])
            ~ " rows. It is ignored here: correct it at the source."
        ) %}
    {% endif %}
    {{ return(sentences | join(" ") or none) }}
{% endmacro %}
