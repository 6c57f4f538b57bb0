{# `lines` is how many to show; the first are the totals, then the worst products of the day. #}
{% macro show_feature_sync_summary(lines=none) %}
    {% set select_summary %}
        select
            cohort, product, properties, on_in_salesforce, should_be_on, missing_in_salesforce, left_on_in_salesforce,
            never_set_in_salesforce, mismatched, sync_exceptions
        from {{ ref("feature_sync_summary") }}
        order by product <> 'All products', cohort = 'all', cohort, mismatched desc, product
        {{ "limit " ~ lines if lines }}
    {% endset %}
    {% do print(built_day() ~ as_table(run_query(select_summary))) %}
{% endmacro %}


{# One day, one product, wrong for long, or edited? The page shows the same three analyses. #}
{% macro show_mismatches_by_day() %}
    {% set texts = [built_day()] %}
    {% for title, analysis in [
        ("The ten worst days: mismatched properties by the day they were created in Salesforce", "mismatches_by_day"),
        ("How long they can have been wrong", "mismatches_by_age"),
        ("Why they are wrong: a property counts once for each of its causes", "mismatches_by_cause"),
    ] %}
        {% set query = render(graph.nodes["analysis.product_property_sync." ~ analysis].raw_code) %}
        {% do texts.append("\n" ~ title ~ ":\n" ~ as_table(run_query(query).exclude(["is_day"]).limit(10))) %}
    {% endfor %}
    {% do print(texts | join) %}
{% endmacro %}


{# The day and the build that the marts are about; another day than as_of_date is refused. #}
{% macro built_day() %}
    {% set built = run_query("select max(as_of_date), max(built_at) from " ~ ref("feature_sync_summary")).rows[0] %}
    {% if var("as_of_date") and var("as_of_date") | string != built[0] | string %}
        {{ exceptions.raise_compiler_error(
            "The marts are about " ~ built[0] ~ ", not " ~ var("as_of_date") ~ ". Run dbt build --vars 'as_of_date: "
            ~ var("as_of_date") ~ "' first."
        ) }}
    {% endif %}
    {{ return("As of " ~ built[0] ~ ", built " ~ (built[1] | string)[:16] ~ " UTC.\n") }}
{% endmacro %}


{# As one text, because a reader such as head may close the pipe between two. #}
{% macro as_table(table) %}
    {% set lines = [] %}
    {% do table.print_table(
        output=namespace(write=lines.append), max_rows=none, max_columns=none, max_column_width=none
    ) %}
    {{ return(lines | join) }}
{% endmacro %}
