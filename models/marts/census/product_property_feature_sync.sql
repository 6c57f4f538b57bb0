-- Asked through feature_sync_guard the guard would compare everything a second time.
with differences as (
    select * from {{ ref('int_product_property_features') }}
    where
        is_mismatched
        or not has_feature_row
),

{{ judge('differences') }}

select
    {{ census_columns() | join(',\n    ') }}
from differences
where
    is_mismatched
    and not (select judged.is_tripped from judged)
{%- if var('sync_max_rows') %}
order by reverse_etl_id_c
limit {{ var('sync_max_rows') }}
{%- endif %}
