-- One row per property of the application that Salesforce does not have, with the record that it
-- would get, and the reason if it cannot be created. A deleted record counts as present, so that
-- nobody's deletion is undone. A table, because it is as of the build.
{{ config(materialized='table') }}
with unknown_properties as (
    select
        properties.property_id,
        properties.property_name,
        '{{ var("sync_key_prefix") }}' || properties.property_id as sync_key,
        -- A connector may deliver a row twice.
        row_number() over (
            partition by properties.property_id
            order by
                properties.updated_at desc nulls last,
                properties.property_name desc nulls last
        ) as recency
    from {{ ref('stg_rds__properties') }} as properties
    where
        not exists (
            select 1 from {{ ref('base_salesforce__product_properties') }} as records
            where records.snappt_property_id_c = properties.property_id
        )
),

properties as (
    select
        *,
        count(*) over (partition by lower(sync_key)) as properties_with_key
    from unknown_properties
    where
        recency = 1
        or property_id is null
),

salesforce_keys as (
    select lower(reverse_etl_id_c) as sync_key
    from {{ ref('stg_salesforce__product_properties') }}
),

features as (
    select * from {{ ref('int_product_features_latest') }}
),

ids_in_another_format as (
    select * from {{ ref('int_ids_in_another_format') }}
),

final as (
    select
        properties.property_id as snappt_property_id_c,
        properties.sync_key as reverse_etl_id_c,
        {%- for product in product_features() %}

        -- {{ product.name }}
        {{ expected_columns(product) | indent(4) }},
        {%- endfor %}

        properties.property_name,
        features.property_id is not null as has_feature_row,
        case
            when properties.property_id is null then 'blank_property_id'
            when ids_in_another_format.other_property_id is not null then 'id_in_another_format'
            when coalesce({{ strip_blanks('left(properties.property_name, 80)') }}, '') = ''
                then 'blank_name'
            when
                exists (
                    select 1 from salesforce_keys
                    where salesforce_keys.sync_key = lower(properties.sync_key)
                )
                then 'sync_key_taken'
            when properties.properties_with_key > 1 then 'duplicate_sync_key'
        end as sync_exception
    from properties
    left join features on properties.property_id = features.property_id
    left join ids_in_another_format
        on properties.property_id = ids_in_another_format.other_property_id
)

select * from final
