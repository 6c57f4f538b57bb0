-- How are the products distributed? Share of the Salesforce properties that have each product,
-- according to the features table and in Salesforce.
select
    product,
    properties,
    should_be_on,
    round(100.0 * should_be_on / properties, 1) as percent_should_be_on,
    on_in_salesforce,
    round(100.0 * on_in_salesforce / properties, 1) as percent_on_in_salesforce
from {{ ref('feature_sync_summary') }}
where cohort = 'all'
order by
    should_be_on desc,
    product asc
