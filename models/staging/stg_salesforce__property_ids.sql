with source as (
    select * from {{ source('salesforce', 'product_property_c') }}
    {%- if var('recreate_deleted_properties') %}
    where {{ is_live() }}
    {%- endif %}
),

renamed as (
    select distinct {{ clean_id('snappt_property_id_c') }} as property_id
    from source
)

select * from renamed
where property_id is not null
