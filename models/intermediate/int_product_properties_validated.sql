-- One row per Salesforce record that is not deleted, with the reason if it cannot be synced. Keys
-- are counted in separate scans: a CTE used twice is materialized with all its columns (DuckDB)
-- or computed twice (Spark).
{%- set columns = ['salesforce_id', 'last_modified_at', 'created_at', 'property_name'] %}
{%- do columns.extend(census_columns()) %}
{%- set largest_first = ' desc nulls last,\n                records.' %}
with repeated_records as (
    select salesforce_id
    from {{ ref('base_salesforce__product_properties') }}
    group by salesforce_id
    having count(*) > 1
),

-- Salesforce compares external ids without regard to case.
duplicate_sync_keys as (
    select lower(reverse_etl_id_c) as sync_key
    from {{ ref('stg_salesforce__product_properties') }}
    where not has_unusual_sync_key
    group by lower(reverse_etl_id_c)
    having count(*) > 1
),

-- Nobody knows which row of a repeated record is right: one of them represents it.
ranked_repeats as (
    select
        records.{{ columns | join(',\n        records.') }},
        row_number() over (
            partition by records.salesforce_id
            order by
                records.last_modified_at desc nulls last,
                records.{{ columns[2:] | join(largest_first) }} desc nulls last
        ) as rank_of_row
    from {{ ref('stg_salesforce__product_properties') }} as records
    inner join repeated_records on records.salesforce_id = repeated_records.salesforce_id
),

final as (
    select
        records.{{ columns | join(',\n        records.') }},
        case
            when records.reverse_etl_id_c is null then 'blank_sync_key'
            when records.has_unusual_sync_key then 'unusual_sync_key'
            when duplicate_sync_keys.sync_key is not null then 'duplicate_sync_key'
            when records.snappt_property_id_c is null then 'blank_property_id'
        end as sync_exception
    from {{ ref('stg_salesforce__product_properties') }} as records
    left join duplicate_sync_keys
        on lower(records.reverse_etl_id_c) = duplicate_sync_keys.sync_key
    left join repeated_records on records.salesforce_id = repeated_records.salesforce_id
    where repeated_records.salesforce_id is null

    union all

    select
        {{ columns | join(',\n        ') }},
        'repeated_record' as sync_exception
    from ranked_repeats
    where rank_of_row = 1
)

select * from final
