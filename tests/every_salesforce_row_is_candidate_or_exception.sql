-- Nothing is lost silently: what cannot be synced is an exception, everything else is compared. And
-- something is: where every row is an exception, "nothing differs" would prove nothing.
with counts as (
    select
        (select count(*) from {{ ref('stg_salesforce__product_properties') }}) as salesforce_rows,
        (select count(*) from {{ ref('int_product_property_features') }}) as candidates,
        (select count(*) from {{ ref('product_property_sync_exceptions') }}) as exceptions
)

select * from counts
where
    salesforce_rows <> candidates + exceptions
    or (salesforce_rows > 0 and candidates = 0)
