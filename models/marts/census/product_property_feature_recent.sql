-- By creation, not by last modification: every sync modifies what it touches, so a window over
-- modifications would feed itself.
with {{ guard_ctes(ref('int_product_properties_compared'), ref('int_salesforce_totals')) }}

select
    {{ census_expressions() | join(',\n    ') }}
from {{ ref('int_product_properties_compared') }}
where
    cast(created_at as date)
    between {{ as_of_date() }} - interval '{{ var("recent_days") }}' day and {{ as_of_date() }}
    and sync_exception is null
    and {{ guard_is_open(live=true) }}
