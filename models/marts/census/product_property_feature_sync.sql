-- Asked through feature_sync_guard the guard would compare everything a second time.
with {{ judge() }}

select
    {{ census_columns() | join(',\n    ') }}
from differences
where
    is_mismatched
    and {{ guard_is_open('judged') }}
{%- if var('sync_max_rows') %}
order by reverse_etl_id_c
limit {{ var('sync_max_rows') }}
{%- endif %}
