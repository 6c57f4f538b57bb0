-- Since when has it been wrong? Mismatched properties by the age of their oldest difference, in days.
{%- set ages = {0: 'the same day', 7: '1 to 7 days', 30: '8 to 30 days'} %}
with properties as (
    select
        salesforce_id,
        max(days_mismatched) as days
        {%- for product in product_features() %},
        count(case when product = '{{ product.name }}' then 1 end) as {{ product.source_prefix }}
        {%- endfor %}
    from {{ ref('feature_mismatches') }}
    group by salesforce_id
)

select
    case
        {%- for days, age in ages.items() %}
        when days <= {{ days }} then '{{ age }}'
        {%- endfor %}
        when days is null then 'unknown'
        else 'more than 30 days'
    end as mismatched_for,
    count(*) as mismatched
    {%- for product in product_features() %},
    sum({{ product.source_prefix }}) as {{ product.source_prefix }}
    {%- endfor %}
from properties
group by 1
order by min(days) asc nulls last
