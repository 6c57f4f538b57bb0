-- One row: what the guard's shares are of.
{{ config(materialized=cross_catalog_materialization()) }}
with totals as (
    {{ salesforce_totals(ref('stg_salesforce__product_properties')) }}
)

select * from totals
