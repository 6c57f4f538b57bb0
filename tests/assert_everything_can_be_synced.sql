-- Warns, because what cannot be synced hinders nothing else. The guard trips if it is too much.
{{ config(
    severity='warn',
    meta={'advice': 'Census is not offered them: product_property_sync_exceptions says why and what to do.'},
) }}
select * from {{ ref('product_property_sync_exceptions') }}
