-- The comparison as of the last build: whatever must not change between two builds reads this.
{{ config(materialized=at_build_materialization()) }}
select * from {{ ref('int_product_properties_compared') }}
