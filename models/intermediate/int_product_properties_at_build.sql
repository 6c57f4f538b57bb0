-- The comparison as of the last build: relations that must not change between two builds read this.
{{ config(materialized=at_build_materialization()) }}
select * from {{ ref('int_product_properties_compared') }}
