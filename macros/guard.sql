{# The guard as CTEs, the last of which is called `guard`. Live views inline them, because selecting from
   feature_sync_guard would run the comparison a second time. #}
{% macro guard_ctes(compared=none, totals=none, new_properties=none) -%}
differences as (
    select * from {{ compared or ref('int_product_properties_compared') }}
    where
        is_mismatched
        or not has_feature_row
        or sync_exception is not null
),

guard_differences as (
    select
        count(sync_exception) as exceptions,
        count(case when sync_exception is null and not has_feature_row then 1 end)
            as unmatched_records,
        count(case when sync_exception is null and is_mismatched then 1 end) as records_to_update,
        {% for product in product_features() -%}
        {%- set is_switched_off = 'current_' ~ product.flag ~ ' and not ' ~ product.flag -%}
        count(case when sync_exception is null and {{ is_switched_off }} then 1 end)
        {%- if not loop.last %}
        + {% endif %}
        {%- endfor %} as flags_to_switch_off
    from differences
),

guard_features as (
    select count(property_id) as feature_rows from {{ ref('stg_sfdc_dbx__product_features') }}
),

{% if new_properties -%}
guard_creations as (
    select count(*) as properties_to_create from {{ new_properties }}
),

guard_application as (
    select count(*) as application_properties from {{ ref('stg_rds__properties') }}
),

{% endif -%}
guard_facts as (
    select
        guard_features.feature_rows,
        totals.salesforce_records,
        totals.unset_records,
        guard_differences.exceptions,
        guard_differences.unmatched_records,
        guard_differences.records_to_update,
        totals.flags_on_in_salesforce,
        guard_differences.flags_to_switch_off,
        {%- if new_properties %}
        guard_application.application_properties,
        guard_creations.properties_to_create,
        {%- endif %}
        {{ var('guard_min_feature_rows') }} as guard_min_feature_rows,
        {{ var('guard_min_match_share') }} as guard_min_match_share,
        {{ var('guard_max_exception_share') }} as guard_max_exception_share,
        {{ var('guard_max_unset_share') }} as guard_max_unset_share,
        {{ var('guard_max_create_share') }} as guard_max_create_share,
        {{ var('guard_max_disable_share') }} as guard_max_disable_share,
        {{ var('guard_min_disables') }} as guard_min_disables
    from guard_differences
    cross join guard_features
    cross join {{ totals or ref('int_salesforce_totals') }} as totals
    {%- if new_properties %}
    cross join guard_application
    cross join guard_creations
    {%- endif %}
),

guard_limits as (
    select
        *,
        feature_rows < guard_min_feature_rows as has_too_few_feature_rows,
        salesforce_records = exceptions
        and not {{ var('allow_mass_create') }} as has_nothing_to_compare,
        salesforce_records - exceptions - unmatched_records
        < guard_min_match_share * salesforce_records as has_too_few_matches,
        exceptions > guard_max_exception_share * salesforce_records as has_too_many_exceptions,
        unset_records > guard_max_unset_share * salesforce_records
        and not {{ var('allow_new_field') or var('sync_max_rows') is not none }} as has_new_field,
        flags_to_switch_off >= guard_min_disables
        and flags_to_switch_off > guard_max_disable_share * flags_on_in_salesforce
        and not {{ var('allow_mass_switch_off') }} as has_too_many_switch_offs,
        {%- if new_properties %}
        properties_to_create > guard_max_create_share * application_properties
        and not {{ var('allow_mass_create') }} as has_too_many_creations
        {%- else %}
        false as has_too_many_creations
        {%- endif %}
    from guard_facts
),

guard as (
    select
        *,
        has_too_few_feature_rows
        or has_nothing_to_compare
        or has_too_few_matches
        or has_too_many_exceptions
        or has_new_field
        or has_too_many_switch_offs
        or has_too_many_creations as is_tripped
    from guard_limits
)
{%- endmacro %}


{# The denominators of the guard's limits. #}
{% macro salesforce_totals(records, prefix="") -%}
select
        count(*) as salesforce_records,
        greatest(
            {%- for product in product_features() %}
            count(*) - count({{ prefix }}{{ product.flag }})
            {%- if not loop.last %},{% endif %}
            {%- endfor %}
        ) as unset_records,
        {% for product in product_features() -%}
        count(case when {{ prefix }}{{ product.flag }} then 1 end)
        {%- if not loop.last %}
        + {% endif %}
        {%- endfor %} as flags_on_in_salesforce
    from {{ records }}
{%- endmacro %}


{# At the last build, and in a live view also now. Without a verdict the guard is not open. #}
{% macro guard_is_open(live=false) -%}
    {% if live -%}
    not (select is_tripped from guard)
    and {% endif -%}
    not (select is_tripped from {{ ref('feature_sync_guard') }})
{%- endmacro %}


{% macro guard_facts() %}
    {% set guard = ref("feature_sync_guard") %}
    {% set found = run_query("select * from " ~ guard) if execute else none %}
    {% if found and found.rows | length == 1 %}
        {{ return(dict(zip(found.column_names | map("lower"), found.rows[0].values()))) }}
    {% endif %}
    {{ return(none) }}
{% endmacro %}


{% macro guard_verdict(facts) %}
    {% if not facts %}
        {{ return("The guard has no verdict and nothing is offered to Census: run dbt build.") }}
    {% endif %}
    {% set matched = facts.salesforce_records - facts.exceptions - facts.unmatched_records %}
    {% set counts = [
        (
            with_separators(facts.feature_rows) ~ " feature rows have a property id",
            facts.has_too_few_feature_rows,
            ", fewer than guard_min_feature_rows (" ~ with_separators(facts.guard_min_feature_rows) ~ ")",
        ),
        (
            with_separators(matched) ~ " of " ~ with_separators(facts.salesforce_records) ~ " Salesforce records have a feature row",
            facts.has_too_few_matches or facts.has_nothing_to_compare,
            ", a smaller share than guard_min_match_share (" ~ facts.guard_min_match_share ~ ")",
        ),
        (
            with_separators(facts.exceptions) ~ " of " ~ with_separators(facts.salesforce_records) ~ " Salesforce records cannot be synced",
            facts.has_too_many_exceptions,
            ", a larger share than guard_max_exception_share (" ~ facts.guard_max_exception_share ~ ")",
        ),
        (
            with_separators(facts.unset_records) ~ " of " ~ with_separators(facts.salesforce_records)
            ~ " Salesforce records have an empty flag of the same product",
            facts.has_new_field,
            ", a larger share than guard_max_unset_share (" ~ facts.guard_max_unset_share ~ "), as if the field were new:"
            ~ " set sync_max_rows to fill it in waves",
        ),
        (
            with_separators(facts.properties_to_create) ~ " of " ~ with_separators(facts.application_properties)
            ~ " properties would be created in Salesforce",
            facts.has_too_many_creations,
            ", a larger share than guard_max_create_share (" ~ facts.guard_max_create_share ~ ")",
        ),
        (
            with_separators(facts.flags_to_switch_off) ~ " of " ~ with_separators(facts.flags_on_in_salesforce)
            ~ " flags that are on in Salesforce would be switched off",
            facts.has_too_many_switch_offs,
            ", a larger share than guard_max_disable_share (" ~ facts.guard_max_disable_share ~ ")",
        ),
    ] %}
    {% set findings = [] %}
    {% for count, is_passed, limit in counts if is_passed or not facts.is_tripped %}
        {% do findings.append(count ~ (limit if is_passed else "")) %}
    {% endfor %}
    {% set findings = findings | join("; ") ~ "." %}
    {% if not facts.is_tripped %}
        {{ return("The guard is open: " ~ findings) }}
    {% endif %}

    {% set overrides = [] %}
    {% if facts.has_too_many_switch_offs %}{% do overrides.append("allow_mass_switch_off: true") %}{% endif %}
    {% if facts.has_new_field %}{% do overrides.append("allow_new_field: true") %}{% endif %}
    {% if facts.has_too_many_creations or not facts.salesforce_records %}{% do overrides.append("allow_mass_create: true") %}{% endif %}
    {{ return(
        "The guard is tripped and nothing is offered to Census: " ~ findings
        ~ " Repair the features table or the replica, then run dbt build."
        ~ (" If this is intended, run dbt build --vars '{" ~ overrides | join(", ") ~ "}' once." if overrides else "")
    ) }}
{% endmacro %}


{% macro with_separators(number) %}
    {{ return("{:,}".format(number | int)) }}
{% endmacro %}
