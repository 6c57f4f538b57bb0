-- Since when has it been wrong? Mismatched properties by the age of their oldest difference.
{%- set ages = {0: 'the same day', 7: '1 to 7 days', 30: '8 to 30 days'} %}
with properties as (
    select
        salesforce_id,
        {%- for product in product_features() %}
        count(case when product = '{{ product.name }}' then 1 end) as {{ product.source_prefix }},
        {%- endfor %}
        max(days_mismatched) as oldest
    from {{ ref('feature_mismatches') }}
    group by salesforce_id
),

aged as (
    select
        *,
        case
            {%- for days, age in ages.items() %}
            when oldest <= {{ days }} then '{{ age }}'
            {%- endfor %}
            when oldest is null then 'unknown'
            else 'more than 30 days'
        end as mismatched_for
    from properties
)

select
    mismatched_for,
    count(*) as mismatched,
    {%- for product in product_features() %}
    sum({{ product.source_prefix }}) as {{ product.source_prefix }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
from aged
group by mismatched_for
order by min(oldest) asc nulls last
