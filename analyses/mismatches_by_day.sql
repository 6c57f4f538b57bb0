-- Is everything that is wrong from one day, or of one product? The ten days of creation with the most
-- mismatched properties, newest first among equals, and all other days by month.
with created as (
    select
        cast(created_at as date) as created_on,
        count(*) as properties
    from {{ ref('int_product_properties_at_build') }}
    group by cast(created_at as date)
),

mismatches as (
    select
        cast(created_at as date) as created_on,
        count(distinct salesforce_id) as mismatched
        {%- for product in product_features() %},
        count(case when product = '{{ product.name }}' then 1 end) as {{ product.source_prefix }}
        {%- endfor %}
    from {{ ref('feature_mismatches') }}
    group by cast(created_at as date)
),

ranked as (
    select
        mismatches.*,
        created.properties,
        row_number() over (
            order by mismatches.mismatched desc nulls last, created.created_on desc nulls last
        ) <= 10 as is_day,
        cast(created.created_on as {{ dbt.type_string() }}) as day
    from created
    left join mismatches on created.created_on is not distinct from mismatches.created_on
),

final as (
    select
        is_day,
        coalesce(substr(day, 1, case when is_day then 10 else 7 end), 'unknown') as created_on,
        sum(mismatched) as mismatched,
        sum(properties) as properties
        {%- for product in product_features() %},
        sum({{ product.source_prefix }}) as {{ product.source_prefix }}
        {%- endfor %}
    from ranked
    group by 1, 2
    having sum(mismatched) > 0
)

select * from final
order by
    is_day desc,
    case when is_day then mismatched end desc,
    created_on desc
