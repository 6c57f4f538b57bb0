-- How are the products distributed? Share of the Salesforce properties that have each product,
-- in truth and in Salesforce.
select
    product,
    properties,
    on_in_truth,
    round(100.0 * on_in_truth / properties, 1) as percent_on_in_truth,
    on_in_salesforce,
    round(100.0 * on_in_salesforce / properties, 1) as percent_on_in_salesforce
from {{ ref('feature_sync_summary') }}
where cohort = 'all'
order by
    on_in_truth desc,
    product asc
