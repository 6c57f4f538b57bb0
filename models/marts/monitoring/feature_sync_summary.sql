-- One row per cohort and product, with 'all' cohorts and 'All products' as totals.
{%- set measures = {
    'properties': 'true',
    'on_in_salesforce': 'is_enabled_in_salesforce',
    'on_in_truth': 'is_enabled',
    'missing_in_salesforce': "mismatch_kind = 'missing_in_salesforce'",
    'left_on_in_salesforce': "mismatch_kind = 'left_on_in_salesforce'",
    'never_set_in_salesforce': "mismatch_kind = 'never_set_in_salesforce'",
    'mismatched': 'mismatch_kind is not null',
} %}
with flags as (
    select
        product,
        reverse_etl_id_c,
        {%- for name, condition in measures.items() %}
        case when {{ condition }} then 1 end as {{ name }},
        {%- endfor %}
        case
            when cast(created_at as date) = {{ as_of_date() }} then 'as_of_date'
            when cast(created_at as date) > {{ as_of_date() }} then 'after'
            else 'before'
        end as cohort
    from {{ ref('int_product_property_feature_flags') }}
),

-- A property counts once in 'All products', however many of its products differ.
all_products as (
    select
        cohort,
        {%- for name in measures %}
        max({{ name }}) as {{ name }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from flags
    group by
        cohort,
        reverse_etl_id_c
),

counted as (
    select
        cohort,
        product,
        {%- for name in measures %}
        count({{ name }}) as {{ name }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from flags
    group by grouping sets ((cohort, product), (product))

    union all

    -- The product is an aggregate, because Sail would filter a constant before it counts, and show
    -- a total of nothing.
    select
        cohort,
        max(cast(null as {{ dbt.type_string() }})) as product,
        {%- for name in measures %}
        count({{ name }}) as {{ name }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from all_products
    group by grouping sets ((cohort), ())
),

final as (
    select
        {{ as_of_date() }} as as_of_date,
        coalesce(cohort, 'all') as cohort,
        coalesce(product, 'All products') as product,
        {{ measures | join(',\n        ') }}
    from counted
)

select * from final
