-- Every record and product that differs, in the order of the report's CSV: one row each.
select * from {{ ref('feature_mismatches') }}
order by
    created_at desc,
    salesforce_id asc,
    product asc
