-- Warns, because what cannot be synced hinders nothing else. The guard trips if it is too much.
{{ config(severity='warn') }}
select * from {{ ref('product_property_sync_exceptions') }}
