with source as (
    select * from {{ source('rds', 'properties') }}
),

renamed as (
    select
        {{ clean_id('id') }} as property_id,
        name as property_name,
        cast(created_at as {{ dbt.type_timestamp() }}) as created_at,
        cast(updated_at as {{ dbt.type_timestamp() }}) as updated_at
    from source
)

select * from renamed
