-- The months of a product add up to its total, and the total is what the summary counts as on.
with adoption as (
    select * from {{ ref('product_adoption') }}
),

by_month as (
    select
        product,
        sum(properties_on) as properties_on,
        sum(newly_on_7_days) as newly_on_7_days,
        sum(newly_on_30_days) as newly_on_30_days,
        sum(newly_on_90_days) as newly_on_90_days
    from adoption
    where started_month <> 'all'
    group by product
),

in_summary as (
    select * from {{ ref('feature_sync_summary') }}
    where
        cohort = 'all'
        and product <> 'All products'
)

select
    in_summary.product,
    in_summary.should_be_on,
    adoption.properties_on,
    by_month.properties_on as properties_on_by_month
from in_summary
left join adoption
    on
        in_summary.product = adoption.product
        and adoption.started_month = 'all'
left join by_month on in_summary.product = by_month.product
where
    in_summary.should_be_on <> coalesce(adoption.properties_on, 0)
    or adoption.properties_on <> coalesce(by_month.properties_on, 0)
    or adoption.newly_on_7_days <> coalesce(by_month.newly_on_7_days, 0)
    or adoption.newly_on_30_days <> coalesce(by_month.newly_on_30_days, 0)
    or adoption.newly_on_90_days <> coalesce(by_month.newly_on_90_days, 0)
    or abs(adoption.share_of_properties * in_summary.properties - in_summary.should_be_on) > 0.5
