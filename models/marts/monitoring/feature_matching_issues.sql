-- One row per feature row or Salesforce record that looks as if the two had missed each other, and
-- per product whose dates Salesforce cannot hold.
with records as (
    select * from {{ ref('int_product_properties_at_build') }}
),

features as (
    select * from {{ ref('int_product_features_latest') }}
),

unmatched_records as (
    select
        salesforce_id,
        property_name,
        snappt_property_id_c,
        coalesce(
            cast(try_cast(snappt_property_id_c as decimal(38, 0)) as {{ dbt.type_string() }}),
            lower(snappt_property_id_c)
        ) as comparable_id,
        {% for product in product_features() -%}
        current_{{ product.flag }}
        {%- if not loop.last %}
        or {% endif %}
        {%- endfor %} as has_product_on
    from records
    where
        not has_feature_row
        and snappt_property_id_c is not null
),

unmatched_features as (
    select
        features.property_id,
        coalesce(
            cast(try_cast(features.property_id as decimal(38, 0)) as {{ dbt.type_string() }}),
            lower(features.property_id)
        ) as comparable_id
    from features
    left join records on features.property_id = records.snappt_property_id_c
    where records.salesforce_id is null
),

ids_in_another_format as (
    select
        unmatched_records.salesforce_id,
        unmatched_records.property_name,
        unmatched_records.snappt_property_id_c,
        unmatched_features.property_id as feature_property_id,
        'id_in_another_format' as issue
    from unmatched_features
    inner join unmatched_records
        on unmatched_features.comparable_id = unmatched_records.comparable_id
),

products_without_feature_row as (
    select
        salesforce_id,
        property_name,
        snappt_property_id_c,
        cast(null as {{ dbt.type_string() }}) as feature_property_id,
        'no_feature_row' as issue
    from unmatched_records
    where
        has_product_on
        and salesforce_id not in (select ids.salesforce_id from ids_in_another_format as ids)
),

undeliverable_dates as (
    select
        records.salesforce_id,
        records.property_name,
        records.snappt_property_id_c,
        features.property_id as feature_property_id,
        'undeliverable_date' as issue
    from features
    inner join records on features.property_id = records.snappt_property_id_c
    where
        {% for product in product_features() -%}
        {%- for column in ['enabled_at', 'updated_at'] -%}
        {%- set date = 'features.' ~ product.source_prefix ~ '_' ~ column -%}
        ({{ date }} is not null and {{ salesforce_date(date) }} is null)
        {%- if not loop.last %}
        or {% endif %}
        {%- endfor %}
        {%- if not loop.last %}
        or {% endif %}
        {%- endfor %}
),

issues as (
    select * from ids_in_another_format
    union all
    select * from products_without_feature_row
    union all
    select * from undeliverable_dates
)

select
    salesforce_id,
    property_name,
    snappt_property_id_c,
    feature_property_id,
    issue,
    case issue
        when 'id_in_another_format'
            then 'Write the property id the same way in the features table and in Salesforce.'
        when 'no_feature_row'
            then 'Add the property to the features table, or let the sync switch its products off.'
        when 'undeliverable_date'
            then 'Correct the date in the features table: Salesforce takes years 1700 to 4000.'
    end as what_to_do
from issues
