{# The six limits. `of` is the denominator of the share, `counted` its numerator; both are columns of feature_sync_guard. A
   limit with an `approval` can be lifted for one build, up to the number that was reviewed. #}
{% macro guard_limits() %}
    {{ return([
        {
            "var": "guard_min_match_share",
            "column": "has_too_few_matches",
            "counted": "matched_records",
            "of": "records_to_match",
            "condition": "matched_records < {} * records_to_match or records_to_match = 0",
            "sentence": "comparable Salesforce records have a feature row",
        },
        {
            "var": "guard_max_exception_share",
            "column": "has_too_many_exceptions",
            "counted": "exceptions",
            "of": "salesforce_records",
            "condition": "exceptions > {} * salesforce_records",
            "sentence": "Salesforce records cannot be synced",
        },
        {
            "var": "guard_max_update_share",
            "column": "has_too_many_updates",
            "counted": "records_to_update",
            "of": "comparable_records",
            "condition": "records_to_update > {} * comparable_records",
            "sentence": "comparable Salesforce records differ and would be updated",
            "approval": "approved_updates",
            "approved": "records_to_update",
        },
        {
            "var": "guard_max_switch_off_share",
            "column": "has_too_many_switch_offs",
            "counted": "flags_to_switch_off",
            "of": "flags_on_in_salesforce",
            "condition": "flags_to_switch_off > {} * flags_on_in_salesforce and flags_to_switch_off >= "
                ~ var("guard_min_switch_offs"),
            "sentence": "flags that are on in Salesforce would be switched off",
            "approval": "approved_switch_offs",
            "approved": "flags_to_switch_off",
        },
        {
            "var": "guard_max_product_switch_off_share",
            "column": "has_too_many_switch_offs_of_a_product",
            "counted": "product_flags_to_switch_off",
            "of": "product_flags_on",
            "condition": "product_flags_to_switch_off > {} * product_flags_on and product_flags_to_switch_off >= "
                ~ var("guard_min_switch_offs"),
            "sentence": "flags of this product that are on in Salesforce would be switched off",
            "approval": "approved_switch_offs",
            "approved": "flags_to_switch_off",
        },
        {
            "var": "guard_max_create_share",
            "column": "has_too_many_creations",
            "counted": "properties_to_create",
            "of": "application_properties",
            "condition": "properties_to_create > {} * application_properties",
            "sentence": "properties of the application would be created in Salesforce",
            "approval": "approved_creations",
            "approved": "properties_to_create",
        },
    ]) }}
{% endmacro %}


{# The guard as CTEs, the last of which is `guard`. Live views inline them, because selecting from feature_sync_guard would
   run the comparison a second time. Without new_properties, creations are not judged. #}
{% macro guard_ctes(differences, totals, new_properties=none) -%}
{%- set prefixes = product_features() | map(attribute="source_prefix") | list -%}
{%- set worst = {"switch_off_product": "", "product_flags_on": "_on", "product_flags_to_switch_off": "_off"} -%}
guard_differences as (
    select
        count(sync_exception) as exceptions,
        count(case when sync_exception is null and not has_feature_row then 1 end)
            as unmatched_records,
        count(case when sync_exception is null and is_mismatched then 1 end) as records_to_update,
        {%- for product in product_features() %}
        {%- set is_switched_off = 'current_' ~ product.flag ~ ' and not ' ~ product.flag %}
        count(case when sync_exception is null and {{ is_switched_off }} then 1 end)
            as {{ product.source_prefix }}_off
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ differences }}
),

{% if new_properties -%}
guard_creations as (
    select
        count(case when sync_exception is null then 1 end) as properties_to_create,
        count(case when sync_exception is null and has_feature_row then 1 end) as matched_properties
    from {{ new_properties }}
),

guard_application as (
    select count(distinct property_id) as application_properties
    from {{ ref('stg_rds__properties') }}
),

{% endif -%}
guard_counts as (
    select
        guard_differences.*,
        {%- if new_properties %}
        guard_creations.*,
        guard_application.*,
        {%- else %}
        0 as properties_to_create,
        0 as matched_properties,
        0 as application_properties,
        {%- endif %}
        totals.*,
        totals.salesforce_records - guard_differences.exceptions as comparable_records
    from guard_differences
    cross join {{ totals }} as totals
    {%- if new_properties %}
    cross join guard_creations
    cross join guard_application
    {%- endif %}
),

-- The product with the largest share of switch-offs ranks first, unless these are only a few.
guard_ranks as (
    select
        *,
        {%- for product in product_features() %}
        {%- set on, off = product.source_prefix ~ '_on', product.source_prefix ~ '_off' %}
        {{ off }} / greatest({{ on }}, 1.0)
        + case when {{ off }} >= {{ var('guard_min_switch_offs') }} then 1 else 0 end
            as {{ product.source_prefix }}_rank
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from guard_counts
),

guard_facts as (
    select
        salesforce_records,
        exceptions,
        comparable_records,
        -- A first load has nothing to compare, so its new properties must match.
        case when comparable_records > 0 then comparable_records else properties_to_create end
            as records_to_match,
        case
            when comparable_records > 0 then comparable_records - unmatched_records
            else matched_properties
        end as matched_records,
        records_to_update,
        {{ prefixes | join('_on + ') }}_on as flags_on_in_salesforce,
        {{ prefixes | join('_off + ') }}_off as flags_to_switch_off,
        {%- for column, suffix in worst.items() %}
        case greatest({{ prefixes | join('_rank, ') }}_rank)
            {%- for product in product_features() %}
            when {{ product.source_prefix }}_rank then {{ product.source_prefix ~ suffix if suffix else "'" ~ product.name ~ "'" }}
            {%- endfor %}
        end as {{ column }},
        {%- endfor %}
        application_properties,
        properties_to_create
    from guard_ranks
),

guard_limits as (
    select
        *,
        {%- for limit in guard_limits() %}
        ({{ limit.condition.format(var(limit.var)) }})
        {%- if limit.approval and var(limit.approval) %}
        and {{ limit.approved }} > {{ var(limit.approval) }}
        {%- endif %} as {{ limit.column }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from guard_facts
),

guard as (
    select
        *,
        {{ guard_limits() | map(attribute='column') | join('\n        or ') }} as is_tripped
    from guard_limits
)
{%- endmacro %}


{# The denominators of the guard's limits. #}
{% macro salesforce_totals(records, prefix="") -%}
select
        count(*) as salesforce_records,
        {%- for product in product_features() %}
        count(case when {{ prefix }}{{ product.flag }} then 1 end) as {{ product.source_prefix }}_on
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ records }}
{%- endmacro %}


{# Open at the last build, which must not be too old, and in a live view also now. A missing verdict counts as tripped. #}
{% macro guard_is_open(live=false) -%}
    {% if live -%}
    not (select is_tripped from guard)
    and {% endif -%}
    (select not is_tripped and not {{ is_outdated() }} from {{ ref('feature_sync_guard') }})
{%- endmacro %}


{# By the engine's clock and never by as_of_date: a build of last week must not reach Salesforce today. #}
{% macro is_outdated(built_at="built_at") -%}
    {{ built_at }} < {{ utc_now() }} - interval '{{ var("guard_max_age_hours") }}' hour
{%- endmacro %}
