-- One row per pair of property ids that differ only in how they are written: one in Salesforce,
-- without a feature row or unknown to the application, and one in the features table or the
-- application, without a record in Salesforce. Such an id is not guessed: it is an exception. A
-- table, because the live views only leave out what the build has found.
{{ config(materialized='table') }}
{%- set separators = ', \u00a0' %}{# a comma, a space, a no-break space #}
{%- set number = '^([0-9]+|[0-9]{1,3}([' ~ separators ~ '][0-9]{3})+)([.]0+)?$' %}
{%- set number_with_points = '^[0-9]{1,3}([.][0-9]{3}){2,}$' %}
{%- set scientific = '^([0-9]+)[.]([0-9]+)e[+]?([0-9]{1,2})$' %}
with unmatched_ids as (
    select distinct
        true as is_in_salesforce,
        records.snappt_property_id_c as property_id
    from {{ ref('stg_salesforce__product_properties') }} as records
    where
        not exists (
            select 1 from {{ ref('stg_sfdc_dbx__product_features') }} as features
            where features.property_id = records.snappt_property_id_c
        )
        or not exists (
            select 1 from {{ ref('stg_rds__properties') }} as properties
            where properties.property_id = records.snappt_property_id_c
        )

    union all

    select distinct
        false as is_in_salesforce,
        known_ids.property_id
    from (
        select property_id from {{ ref('stg_sfdc_dbx__product_features') }}
        union all
        select property_id from {{ ref('stg_rds__properties') }}
    ) as known_ids
    where
        not exists (
            select 1 from {{ ref('stg_salesforce__product_properties') }} as records
            where records.snappt_property_id_c = known_ids.property_id
        )
),

without_prefix as (
    select
        is_in_salesforce,
        property_id,
        regexp_replace(lower(property_id), '^{{ var("sync_key_prefix") | lower }}', '') as id
    from unmatched_ids
    where property_id is not null
),

-- 7.06222e6 is 7062220: whole numbers are text here, so that no digit is lost.
parts as (
    select
        is_in_salesforce,
        property_id,
        id,
        regexp_extract(id, '{{ scientific }}', 1) as digits,
        trim(trailing '0' from regexp_extract(id, '{{ scientific }}', 2)) as decimals,
        cast(
            coalesce(nullif(regexp_extract(id, '{{ scientific }}', 3), ''), '0') as int
        ) as exponent
    from without_prefix
),

comparable as (
    select
        is_in_salesforce,
        property_id,
        trim(
            leading '0' from case
                when regexp_extract(id, '{{ number }}', 0) <> ''
                    then translate(regexp_replace(id, '[.]0+$', ''), '{{ separators }}', '')
                when regexp_extract(id, '{{ number_with_points }}', 0) <> ''
                    then replace(id, '.', '')
                when digits <> '' and exponent >= length(decimals)
                    then digits || decimals || repeat('0', exponent - length(decimals))
                else id
            end
        ) as comparable_id
    from parts
),

final as (
    select
        min(case when is_in_salesforce then property_id end) as snappt_property_id_c,
        min(case when not is_in_salesforce then property_id end) as other_property_id
    from comparable
    group by comparable_id
    having
        count(case when is_in_salesforce then 1 end) = 1
        and count(case when not is_in_salesforce then 1 end) = 1
)

select * from final
