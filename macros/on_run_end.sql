{# The last thing a command prints: what it found, and what to do next. #}
{% macro report_run(results) %}
    {% do ref("feature_sync_guard") %}{# dbt must see it while it parses #}
    {% for result in results if result.node.source_name in ["salesforce", "sfdc_dbx"] and result.max_loaded_at %}
        {% set sentences = freshness_sentences(result) %}
        {% do log(sentences, info=true) if sentences %}
    {% endfor %}
    {% set statuses = {} %}
    {% for result in results if result.node %}
        {% do statuses.update({result.node.name: result.status | string}) %}
    {% endfor %}
    {% set guard_was_built = statuses.get("feature_sync_guard") == "success" %}
    {% if guard_was_built or statuses.get("assert_guard_is_open") in ["fail", "error"] %}
        {% set facts = guard_facts() %}
        {% if not facts or facts.is_tripped %}
            {% do log(guard_verdict(facts), info=true) %}
        {% else %}
            {% do log(build_summary(facts), info=true) %}
        {% endif %}
    {% endif %}
    {% for sentence in failed_test_advice(results) %}
        {% do log(sentence, info=true) %}
    {% endfor %}
{% endmacro %}


{% macro build_summary(facts) %}
    {% set offered = [facts.records_to_update | int, var("sync_max_rows") or facts.records_to_update | int] | min %}
    {% set sentences = [
        "The guard is open. " ~ with_separators(facts.records_to_update) ~ " of "
        ~ with_separators(facts.salesforce_records) ~ " Salesforce records differ and can be synced; "
        ~ with_separators(offered) ~ " are offered to Census.",
        with_separators(facts.properties_to_create) ~ " new properties can be created.",
    ] %}
    {% if facts.exceptions %}
        {% do sentences.append(
            with_separators(facts.exceptions) ~ " records cannot be synced: see product_property_sync_exceptions."
        ) %}
    {% endif %}
    {% if var("sync_max_rows") %}
        {% do sentences.append(
            "sync_max_rows holds until the next build: one without it, such as the hourly job's, offers everything. Pause"
            ~ " the job while you work in waves."
        ) %}
    {% endif %}
    {% if facts.records_to_update %}
        {% do sentences.append("Next: let Census sync product_property_feature_sync, then run dbt test.") %}
    {% endif %}
    {{ return(sentences | join(" ")) }}
{% endmacro %}


{# The backfill is a table: when a build could not replace it, its rows are those of an older build, which nobody should
   send. #}
{% macro empty_stale_backfill(results) %}
    {% for result in results if result.node and result.node.name == "product_property_feature_backfill" %}
        {% set node = result.node %}
        {% set table = adapter.get_relation(node.database, node.schema, node.alias) %}
        {% if table and node.resource_type == "model" and result.status | string in ["error", "skipped"] %}
            {% do log("The backfill could not be built, so it is emptied: " ~ table, info=true) %}
            {{ return("delete from " ~ table) }}
        {% endif %}
    {% endfor %}
{% endmacro %}
