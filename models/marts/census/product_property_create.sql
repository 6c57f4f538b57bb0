with properties as (
    select
        *,
        -- Salesforce refuses a longer one.
        left(property_name, 80) as name
    from {{ ref('int_properties_not_in_salesforce') }}
    where
        sync_exception is null
        and {{ guard_is_open() }}
)

select
    {{ census_expressions('product_property_create') | join(',\n    ') }}
from properties
