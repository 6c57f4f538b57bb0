{# The last thing a command prints, with --quiet too: what it found, and what to do next. #}
{% macro report_run(results) %}
    {% do ref("feature_sync_guard") %}{# dbt must see it while it parses #}
    {% set by_name = {} %}
    {% for result in results if result.node %}
        {% do by_name.update({result.node.name: result}) %}
        {% set advice = result.node.config.meta.advice %}
        {% if result.status | string in ["fail", "warn"] and advice %}
            {% do print(result.node.name ~ " found " ~ with_separators(result.failures) ~ ". " ~ advice) %}
        {% endif %}
        {% if result.node.source_name in ["salesforce", "sfdc_dbx"] and result.max_loaded_at %}
            {% set sentences = freshness_sentences(result) %}
            {% do print(sentences) if sentences %}
        {% endif %}
    {% endfor %}
    {% set guard, guard_test = by_name.get("feature_sync_guard", {}), by_name.get("assert_guard_is_open", {}) %}
    {% if guard.status | string == "success" or guard_test.status | string in ["fail", "error"] %}
        {% set facts = guard_facts() %}
        {% set is_open = facts and not facts.is_tripped and not facts.is_outdated %}
        {% do print(build_summary(facts) if is_open else guard_verdict(facts)) %}
    {% endif %}
    {% set proof = by_name.get("assert_nothing_differs_else_see_feature_mismatches", {}) %}
    {% if proof.status | string in ["fail", "warn"] %}
        {% do print(proof_summary(proof.node.relation_name, proof.status | string)) %}
    {% endif %}
{% endmacro %}


{# The three numbers of the proof, with what to do about each. #}
{% macro proof_summary(findings, status) %}
    {% set counts = {} %}
    {% for finding, records in run_query("select finding, count(*) from " ~ findings ~ " group by 1").rows %}
        {% do counts.update({finding: with_separators(records)}) %}
    {% endfor %}
    {% set facts = guard_facts() %}
    {% set newest = "unknown" %}
    {% if optional_column("salesforce_loaded_at_column") %}
        {% set select_newest = "select " ~ newest_time("salesforce") ~ " from " ~ source("salesforce", "product_property_c") %}
        {% set newest = (run_query(select_newest).rows[0][0] | string)[:16] ~ " UTC" %}
    {% endif %}
    {% set build = (facts.built_at | string)[:16] ~ " UTC" if facts else "unknown" %}
    {% set sentences = [
        counts.get("not_arrived", 0) ~ " records have not arrived: wait for the replica, whose newest row is of "
        ~ newest ~ " (the build: " ~ build ~ "), then look at the records that Census rejected.",
        counts.get("changed_in_salesforce", 0) ~ " were right at the build and have been changed in Salesforce since: find the"
        ~ " editor.",
        counts.get("changed_at_the_source", 0) ~ " have changed in the source of truth since the build: the next build offers"
        ~ " them.",
    ] %}
    {% if "new_in_salesforce" in counts %}
        {% do sentences.append(
            counts.new_in_salesforce ~ " have been created in Salesforce since, with wrong products: the next build offers them."
        ) %}
    {% endif %}
    {% if "guard_is_tripped" in counts %}
        {% do sentences.append(
            guard_verdict(facts) if not facts or facts.is_tripped or facts.is_outdated
            else "As the sources are now, the guard would be tripped: run dbt build to see its verdict."
        ) %}
    {% endif %}
    {% set first = "Everything that the build saw has arrived. " if status == "warn" else "Salesforce still differs. " %}
    {{ return(first ~ sentences | join(" ") ~ " Each record is listed in " ~ findings ~ ".") }}
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
            "sync_max_rows applies to this build only; the next hourly build offers everything. Pause the job while you work"
            ~ " in waves."
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
