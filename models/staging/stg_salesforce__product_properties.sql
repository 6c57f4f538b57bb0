with records as (
    select * from {{ ref('base_salesforce__product_properties') }}
)

select * from records
where not is_deleted
