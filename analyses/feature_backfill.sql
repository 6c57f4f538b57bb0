-- The backfill in the order of batches and keys, beside what Salesforce held at the last build
-- (`current_…`). Salesforce refuses an empty checkbox, although the replica has NULL for records
-- that are older than the field.
select
    cast(at_build.created_at as date) as created_on,
    {%- for product in product_features() %}
    coalesce(at_build.current_{{ product.flag }}, false) as current_{{ product.flag }},
    {%- for column in [product.start_date, product.updated_date] %}
    cast(at_build.current_{{ column }} as {{ var('feature_date_type') }}) as current_{{ column }},
    {%- endfor %}
    {%- endfor %}
    backfill.*
from {{ ref('product_property_feature_backfill') }} as backfill
left join {{ ref('int_product_properties_at_build') }} as at_build
    on backfill.reverse_etl_id_c = at_build.reverse_etl_id_c
order by
    backfill.batch_number asc,
    backfill.reverse_etl_id_c asc
