-- Its sync updates the record that has the sync key, if there is one: a key that is taken would
-- give that record to another property.
with properties as (
    select
        *,
        concat('{{ var("sync_key_prefix") }}', property_id) as sync_key
    from {{ ref('stg_rds__properties') }}
),

features as (
    select * from {{ ref('stg_sfdc_dbx__product_features') }}
),

salesforce_ids as (
    select * from {{ ref('stg_salesforce__property_ids') }}
),

salesforce_keys as (
    select reverse_etl_id_c as sync_key from {{ ref('stg_salesforce__product_properties') }}
),

missing as (
    select * from properties
    where
        not exists (
            select 1 from salesforce_ids
            where salesforce_ids.property_id = properties.property_id
        )
        and not exists (
            select 1 from salesforce_keys
            where salesforce_keys.sync_key = properties.sync_key
        )
),

final as (
    select
        missing.property_id as snappt_property_id_c,
        missing.sync_key as reverse_etl_id_c,
        {%- for product in product_features() %}

        -- {{ product.name }}
        {{ expected_columns(product) | indent(4) }},
        {%- endfor %}

        -- Salesforce refuses a longer one.
        left(missing.property_name, 80) as name
    from missing
    left join features on missing.property_id = features.property_id
    where {{ guard_is_open() }}
)

select * from final
