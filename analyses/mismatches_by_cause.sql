-- Why is it wrong? Mismatched properties by cause, the most frequent first. A property counts once
-- for each of its causes.
select
    cause,
    count(distinct salesforce_id) as mismatched,
    count(*) as mismatches,
    {%- for product in product_features() %}
    count(case when product = '{{ product.name }}' then 1 end) as {{ product.source_prefix }},
    {%- endfor %}
    min(first_seen_at) as first_seen_at,
    max(last_modified_at) as last_modified_at
from {{ ref('feature_mismatches') }}
group by cause
order by
    mismatched desc,
    cause asc
