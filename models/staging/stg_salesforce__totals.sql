-- One row. What is counted here can be counted without looking for duplicates.
{{ config(materialized=table_until_replica_has_moved()) }}
with source as (
    select * from {{ source('salesforce', 'product_property_c') }}
    where {{ is_live() }}
)

select
    count(*) as salesforce_properties,
    {% for product in product_features() -%}
    count(case when {{ product.flag }} then 1 end)
    {%- if not loop.last %}
    + {% endif %}
    {%- endfor %} as flags_on_in_salesforce
from source
