with cohort as (
    select * from {{ ref('int_product_property_features') }}
    where
        cast(created_at as date) = {{ as_of_date() }}
        and {{ guard_is_open() }}
),

final as (
    select
        {{ census_columns() | join(',\n        ') }},
        cast(
            ceil(
                row_number() over (order by reverse_etl_id_c) / {{ var("backfill_batch_size") }}.0
            ) as int
        ) as batch_number
    from cohort
)

select * from final
