-- Is everything that is wrong from one day, or of one product? The ten days of creation with the
-- most mismatched properties, newest first among equals, and all other days by month.
with created as (
    select
        cast(created_at as date) as created_date,
        count(*) as properties
    from {{ ref('int_product_properties_at_build') }}
    group by cast(created_at as date)
),

mismatches as (
    select
        cast(created_at as date) as created_date,
        {%- for product in product_features() %}
        count(case when product = '{{ product.name }}' then 1 end) as {{ product.source_prefix }},
        {%- endfor %}
        count(distinct salesforce_id) as mismatched
    from {{ ref('feature_mismatches') }}
    group by cast(created_at as date)
),

ranked as (
    select
        mismatches.*,
        created.properties,
        cast(created.created_date as {{ dbt.type_string() }}) as created_day,
        row_number() over (
            order by mismatches.mismatched desc nulls last, created.created_date desc nulls last
        ) <= 10 as is_day
    from created
    left join mismatches on created.created_date is not distinct from mismatches.created_date
),

labelled as (
    select
        *,
        coalesce(substr(created_day, 1, case when is_day then 10 else 7 end), 'unknown')
            as created_on
    from ranked
),

final as (
    select
        is_day,
        created_on,
        sum(mismatched) as mismatched,
        sum(properties) as properties,
        {%- for product in product_features() %}
        sum({{ product.source_prefix }}) as {{ product.source_prefix }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from labelled
    group by
        is_day,
        created_on
)

select * from final
where mismatched > 0
order by
    is_day desc,
    case when is_day then mismatched end desc,
    created_on desc
