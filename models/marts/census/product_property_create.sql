with {{ guard_ctes(new_properties=ref('int_properties_not_in_salesforce')) }},

properties as (
    select * from {{ ref('int_properties_not_in_salesforce') }}
    -- Census would give the record with that key to another property.
    where not is_sync_key_taken
),

features as (
    select * from {{ ref('int_product_features_latest') }}
),

compared as (
    select
        properties.property_id as snappt_property_id_c,
        properties.sync_key as reverse_etl_id_c,
        {%- for product in product_features() %}

        -- {{ product.name }}
        {{ expected_columns(product) | indent(4) }},
        {%- endfor %}

        -- Salesforce refuses a longer one.
        left(properties.property_name, 80) as name
    from properties
    left join features on properties.property_id = features.property_id
    where {{ guard_is_open(live=true) }}
)

select
    {{ census_expressions('product_property_create') | join(',\n    ') }}
from compared
