with properties as (
    select * from {{ ref('int_properties_not_in_salesforce') }}
),

features as (
    select * from {{ ref('stg_sfdc_dbx__product_features') }}
),

final as (
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
    where {{ guard_is_open() }}
)

select * from final
