with cohort as (
    select * from {{ ref('int_product_properties_at_build') }}
    where
        cast(created_at as date) = {{ backfill_date() }}
        and sync_exception is null
        and {{ guard_is_open() }}
),

final as (
    select
        {{ census_expressions() | join(',\n        ') }},
        cast(
            ceil(
                row_number() over (order by reverse_etl_id_c) / {{ var("backfill_batch_size") }}.0
            ) as int
        ) as batch_number
    from cohort
)

select * from final
