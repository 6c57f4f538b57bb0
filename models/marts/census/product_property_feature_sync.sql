with {{ guard_ctes() }}

select
    {{ census_expressions() | join(',\n    ') }}
from differences
where
    is_mismatched
    and sync_exception is null
    and {{ guard_is_open(live=true) }}
{%- if var('sync_max_rows') %}
-- Another order after every build: in a fixed one, records that Salesforce keeps rejecting would
-- take every place of the wave.
order by md5(concat(reverse_etl_id_c, '{{ invocation_id }}'))
limit {{ var('sync_max_rows') }}
{%- endif %}
