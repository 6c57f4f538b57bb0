select
    {{ census_columns() | join(',\n    ') }}
from {{ ref('int_product_property_features') }}
where is_mismatched
