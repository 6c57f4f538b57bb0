{# What Census does with a sync keyed on reverse_etl_id_c, Upsert for product_property_create and Update for all others,
   to try the loop on a laptop. It writes to the Salesforce table, which is the real one on every adapter but DuckDB:
   there it refuses. #}
{% macro simulate_census_sync(relation, batch_number=none) %}
    {{ return(adapter.dispatch("simulate_census_sync")(relation, batch_number)) }}
{% endmacro %}


{% macro default__simulate_census_sync(relation, batch_number) %}
    {{ exceptions.raise_compiler_error(
        "simulate_census_sync runs on DuckDB only: on " ~ target.type ~ " the Salesforce table is the real one."
    ) }}
{% endmacro %}


{% macro duckdb__simulate_census_sync(relation, batch_number) %}
    {% set relations = census_relations() %}
    {% set faults = [] %}
    {% if relation not in relations %}
        {% do faults.append("relation is '" ~ relation ~ "', expected one of " ~ relations | join(", ")) %}
    {% endif %}
    {% if batch_number is not none and (relation != relations[2] or batch_number is not integer) %}
        {% do faults.append("batch_number is a whole number and goes with " ~ relations[2] ~ " only") %}
    {% endif %}
    {% if faults %}
        {{ exceptions.raise_compiler_error(faults | join("\n")) }}
    {% endif %}
    {% if not load_relation(ref(relation)) %}
        {{ exceptions.raise_compiler_error(ref(relation) ~ " does not exist yet: run `dbt build` first") }}
    {% endif %}

    {% set salesforce = source("salesforce", "product_property_c") %}
    {% set creates = relation == "product_property_create" %}
    {% set columns = census_columns(relation) %}
    {% set times = ["last_modified_date"] %}
    {% for column, var_name in optional_columns().items() if var_name != "salesforce_deleted_column" %}
        {% do times.append(column) %}
    {% endfor %}
    {# Copied first, because the sync view reads the table that the update changes. #}
    {% set copy_rows %}
        create or replace temp table census_run as
        with sent as (
            select
                {{ columns | join(", ") }},
                count(*) over (partition by reverse_etl_id_c) as rows_with_key
            from {{ ref(relation) }}
            {% if batch_number is not none %} where batch_number = {{ batch_number }} {% endif %}
        ),

        records as (
            select
                lower({{ salesforce_key("reverse_etl_id_c") }}) as sync_key,
                count(*) as records_with_key
            from {{ salesforce }} as records
            where not {{ is_deleted("records.") }}
            group by all
        )

        select
            sent.*,
            case
                when sent.reverse_etl_id_c is null or sent.rows_with_key > 1 then 'dropped'
                when records.records_with_key is null then '{{ "created" if creates else "unmatched" }}'
                when records.records_with_key > 1 then 'rejected'
                else 'updated'
            end as outcome
        from sent
        left join records on lower({{ salesforce_key("sent.reverse_etl_id_c") }}) = records.sync_key
    {% endset %}
    {% set update_records %}
        update {{ salesforce }} as records
        set
            {% for column in columns if column != "reverse_etl_id_c" %}
            {{ column }} = census_run.{{ column }},
            {% endfor %}
            {% for column in times %}
            {{ column }} = current_timestamp,
            {% endfor %}
        from census_run
        where
            census_run.outcome = 'updated'
            and lower({{ salesforce_key("census_run.reverse_etl_id_c") }})
            = lower({{ salesforce_key("records.reverse_etl_id_c") }})
            and not {{ is_deleted("records.") }}
    {% endset %}
    {% set create_records %}
        insert into {{ salesforce }} by name
        select
            'simulated ' || reverse_etl_id_c as id,
            current_timestamp as created_date,
            {% for column in times %}
            current_timestamp as {{ column }},
            {% endfor %}
            {{ columns | join(", ") }}
        from census_run
        where outcome = 'created'
    {% endset %}

    {% do run_query(copy_rows) %}
    {% do run_query(update_records) %}
    {% do run_query(create_records) %}
    {% set counts = {} %}
    {% for outcome, rows in run_query("select outcome, count(*) from census_run group by outcome").rows %}
        {% do counts.update({outcome: with_separators(rows)}) %}
    {% endfor %}
    {# A run-operation ends with a rollback unless it says otherwise. #}
    {% do run_query("commit") %}
    {% do print(
        "Simulated sync of " ~ relation ~ (", batch " ~ batch_number if batch_number is not none else "") ~ ": "
        ~ counts.get("updated", 0) ~ " updated, " ~ (counts.get("created", 0) ~ " created, " if creates else "")
        ~ counts.get("unmatched", 0) ~ " unmatched (no such sync key in Salesforce), "
        ~ counts.get("rejected", 0) ~ " rejected (sync key twice in Salesforce), "
        ~ counts.get("dropped", 0) ~ " dropped (no sync key, or sync key twice in the relation)"
    ) %}
{% endmacro %}
