-- By creation, not by last modification: every sync modifies what it touches, so a window over
-- modifications would feed itself.
select
    {{ census_columns() | join(',\n    ') }}
from {{ ref('int_product_property_features') }}
where
    cast(created_at as date) >= {{ as_of_date() }} - interval '{{ var("recent_days") }}' day
    and cast(created_at as date) <= {{ as_of_date() }}
    and {{ guard_is_open() }}
