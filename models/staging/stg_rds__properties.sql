-- One row per property of the application that is not deleted there.
with source as (
    select * from {{ source('rds', 'properties') }}
    {%- if optional_column('rds_deleted_column') %}
    -- A boolean, or a timestamp that is NULL until the property is deleted.
    where coalesce(cast({{ optional_column('rds_deleted_column') }} as {{ dbt.type_string() }}), 'false') = 'false'
    {%- endif %}
),

renamed as (
    select
        {{ clean_id('id') }} as property_id,
        name as property_name,
        cast(updated_at as {{ dbt.type_timestamp() }}) as updated_at
    from source
)

select * from renamed
