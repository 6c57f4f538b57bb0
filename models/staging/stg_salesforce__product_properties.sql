select * from {{ ref('base_salesforce__product_properties') }}
where not is_deleted
