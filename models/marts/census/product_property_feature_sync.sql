select
    {{ census_columns() | join(',\n    ') }}
from {{ ref('int_product_property_features') }}
where
    is_mismatched
    and {{ guard_is_open() }}
{%- if var('sync_max_rows') %}
order by reverse_etl_id_c
limit {{ var('sync_max_rows') }}
{%- endif %}
