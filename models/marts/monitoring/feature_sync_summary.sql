-- One row per cohort and product, with 'all' cohorts and 'All products' as totals. It counts
-- records, not flags: a property counts once in 'All products', and one scan is enough.
{%- set groups = [{'name': 'All products', 'products': product_features()}] %}
{%- for product in product_features() -%}
{%- do groups.append({'name': product.name, 'products': [product]}) -%}
{%- endfor %}
with records as (
    select
        case
            when cast(created_at as date) = {{ as_of_date() }} then 'as_of_date'
            when cast(created_at as date) > {{ as_of_date() }} then 'after'
            else 'before'
        end as cohort,
        sync_exception,
        {%- for product in product_features() %}

        -- {{ product.name }}
        {{ product.flag }},
        current_{{ product.flag }},
        {{ mismatch_kind(product) | indent(8) }} as {{ product.source_prefix }}_mismatch_kind
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref('int_product_properties_at_build') }}
),

counted as (
    {% for group in groups %}
    {%- set flags = group.products | map(attribute='flag') | join(', ') %}
    {%- set current_flags = 'current_' ~ flags.replace(', ', ', current_') %}
    {%- set prefixes = group.products | map(attribute='source_prefix') %}
    {%- set kinds = prefixes | join('_mismatch_kind, ') ~ '_mismatch_kind' %}
    select
        cohort,
        '{{ group.name }}' as product,
        count(*) as properties,
        count(sync_exception) as sync_exceptions,
        count(case when true in ({{ current_flags }}) then 1 end) as on_in_salesforce,
        count(case when true in ({{ flags }}) then 1 end) as should_be_on,
        {%- for kind in ['missing', 'left_on', 'never_set'] %}
        count(case when '{{ kind }}_in_salesforce' in ({{ kinds }}) then 1 end)
            as {{ kind }}_in_salesforce,
        {%- endfor %}
        count(coalesce({{ kinds }})) as mismatched
    from records
    group by grouping sets ((cohort), ())
    {%- if not loop.last %}

    union all

    {% endif %}
    {%- endfor %}
),

final as (
    select
        {{ as_of_date() }} as as_of_date,
        {{ built_at() }} as built_at,
        coalesce(cohort, 'all') as cohort,
        product,
        properties,
        sync_exceptions,
        on_in_salesforce,
        should_be_on,
        missing_in_salesforce,
        left_on_in_salesforce,
        never_set_in_salesforce,
        mismatched
    from counted
)

select * from final
