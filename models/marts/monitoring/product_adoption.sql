-- One row per product and month of start, with 'all' months as total.
with flags as (
    select
        product,
        is_enabled,
        case when is_enabled then cast(started_at as date) end as started_date
    from {{ ref('int_product_properties_unpivoted') }}
),

started as (
    select
        product,
        is_enabled,
        case when started_date <= {{ as_of_date() }} then started_date end as on_date,
        substr(cast(started_date as {{ dbt.type_string() }}), 1, 7) as started_month
    from flags
),

counted as (
    select
        product,
        started_month,
        grouping(started_month) as is_total,
        count(*) as all_properties,
        count(case when is_enabled then 1 end) as properties_on,
        {%- for days in [7, 30, 90] %}
        {%- set since = as_of_date() ~ " - interval '" ~ days ~ "' day" %}
        count(case when on_date >= {{ since }} then 1 end) as newly_on_{{ days }}_days
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from started
    group by grouping sets ((product, started_month), (product))
),

final as (
    select
        {{ as_of_date() }} as as_of_date,
        product,
        case when is_total = 1 then 'all' else coalesce(started_month, 'unknown') end
            as started_month,
        properties_on,
        properties_on / max(all_properties) over (partition by product) as share_of_properties,
        newly_on_7_days,
        newly_on_30_days,
        newly_on_90_days
    from counted
)

select * from final
where
    properties_on > 0
    or started_month = 'all'
