-- One row: the denominators of the guard's limits.
{{ config(materialized=cross_catalog_materialization()) }}
with totals as (
    {{ salesforce_totals(ref('stg_salesforce__product_properties')) }}
)

select * from totals
