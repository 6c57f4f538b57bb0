-- Mismatched properties by product and kind, the most frequent product first.
select
    product,
    missing_in_salesforce,
    left_on_in_salesforce,
    never_set_in_salesforce,
    mismatched - missing_in_salesforce - left_on_in_salesforce - never_set_in_salesforce
        as dates_differ,
    mismatched
from {{ ref('feature_sync_summary') }}
where
    cohort = 'all'
    and product <> 'All products'
    and mismatched > 0
order by
    mismatched desc,
    product asc
