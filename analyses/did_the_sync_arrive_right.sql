-- Did what was synced on a day arrive correctly? One row per product, for the properties that were
-- created in Salesforce on as_of_date.
select
    product,
    properties as synced,
    should_be_on,
    on_in_salesforce,
    missing_in_salesforce,
    left_on_in_salesforce,
    never_set_in_salesforce,
    properties - mismatched as arrived_correctly,
    round(100.0 * (properties - mismatched) / properties, 1) as percent_correct
from {{ ref('feature_sync_summary') }}
where cohort = 'as_of_date'
order by
    missing_in_salesforce desc,
    product asc
