{# `lines` is how many to show; the first are the totals, then the worst products of the day. #}
{% macro show_feature_sync_summary(lines=none) %}
    {% set built = refuse_another_day() %}
    {% set select_summary %}
        select
            cohort, product, properties, on_in_salesforce, should_be_on, missing_in_salesforce, left_on_in_salesforce,
            never_set_in_salesforce, mismatched, sync_exceptions
        from {{ ref("feature_sync_summary") }}
        order by product <> 'All products', cohort = 'all', cohort, mismatched desc, product
        {{ "limit " ~ lines if lines }}
    {% endset %}
    {% do print(built ~ "\n" ~ as_table(run_query(select_summary))) %}
{% endmacro %}


{# Whether all that is wrong is of one day, of one product, or has been wrong for long. #}
{% macro show_mismatches_by_day() %}
    {% set built = refuse_another_day() %}
    {% set ages = {"less than a day": 1, "1 to 7 days": 8, "8 to 30 days": 31} %}
    {% set select_ages %}
        with properties as (
            select
                mismatches.salesforce_id,
                min(mismatches.mismatched_since_at) as since_at,
                max(cast(summary.as_of_date as timestamp)) + interval '1' day as end_at
                {%- for product in product_features() %},
                count(case when mismatches.product = '{{ product.name }}' then 1 end) as {{ product.source_prefix }}
                {%- endfor %}
            from {{ ref("feature_mismatches") }} as mismatches
            cross join (select max(as_of_date) as as_of_date from {{ ref("feature_sync_summary") }}) as summary
            group by mismatches.salesforce_id
        )

        select
            case
                {%- for age, days in ages.items() %}
                when since_at > end_at - interval '{{ days }}' day then '{{ age }}'
                {%- endfor %}
                when since_at is null then 'unknown'
                else 'more than 30 days'
            end as wrong_for,
            count(*) as properties
            {%- for product in product_features() %},
            sum({{ product.source_prefix }}) as {{ product.source_prefix }}
            {%- endfor %}
        from properties
        group by 1
    {% endset %}
    {% set select_days %}
        select
            cast(created_at as date) as created_on,
            count(distinct salesforce_id) as properties
            {%- for product in product_features() %},
            count(case when product = '{{ product.name }}' then 1 end) as {{ product.source_prefix }}
            {%- endfor %}
        from {{ ref("feature_mismatches") }}
        group by 1
        order by 2 desc, 1
        limit 15
    {% endset %}
    {% set by_age = run_query(select_ages) %}
    {% set ordered = [] %}
    {% for age in ages.keys() | list + ["more than 30 days", "unknown"] %}
        {% do ordered.extend(by_age.rows | selectattr("wrong_for", "equalto", age)) %}
    {% endfor %}
    {% do print(
        built ~ "\nMismatched properties by the day they were created in Salesforce, the worst 15 days:\n"
        ~ as_table(run_query(select_days)) ~ "\n\nThe same by how long they can have been wrong:\n"
        ~ as_table(by_age, ordered)
    ) %}
{% endmacro %}


{# Says which day the marts are about, or refuses if as_of_date asks for another. #}
{% macro refuse_another_day() %}
    {% set summary = ref("feature_sync_summary") %}
    {% set facts = run_query("select max(as_of_date) as as_of_date, max(built_at) as built_at from " ~ summary).rows[0] %}
    {% if var("as_of_date") and var("as_of_date") | string != facts[0] | string %}
        {{ exceptions.raise_compiler_error(
            "The marts are about " ~ facts[0] ~ ", not " ~ var("as_of_date") ~ ". Run dbt build --vars 'as_of_date: "
            ~ var("as_of_date") ~ "' first."
        ) }}
    {% endif %}
    {{ return("As of " ~ facts[0] ~ ", built " ~ (facts[1] | string)[:16] ~ " UTC.") }}
{% endmacro %}


{# One text, because a reader such as head may close the pipe between two. #}
{% macro as_table(table, chosen_rows=none) %}
    {% set rows = [table.column_names] %}
    {% for row in (chosen_rows or table.rows) %}
        {% set cells = [] %}
        {% for value in row %}
            {% set is_count = value is number and value is not boolean %}
            {% do cells.append(with_separators(value) if is_count else value | string) %}
        {% endfor %}
        {% do rows.append(cells) %}
    {% endfor %}
    {% set lines = [] %}
    {% for row in rows %}
        {% set cells = [] %}
        {% for value in row %}
            {% set width = rows | map(attribute=loop.index0) | map("length") | max %}
            {% set is_text = rows | length == 1 or not (rows[1][loop.index0] | replace(",", "")).isdigit() %}
            {% do cells.append(value.ljust(width) if is_text else value.rjust(width)) %}
        {% endfor %}
        {% do lines.append(cells | join("  ")) %}
    {% endfor %}
    {{ return(lines | join("\n")) }}
{% endmacro %}
