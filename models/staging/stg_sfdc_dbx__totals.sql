-- One row. What is counted here can be counted without looking for duplicates.
with source as (
    select * from {{ source('sfdc_dbx', 'product_property_w_features') }}
)

select count({{ clean_id('property_id') }}) as feature_rows
from source
