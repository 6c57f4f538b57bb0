-- Narrower than the comparison, because two steps read it: the guard and the select below.
with differences as (
    select * from {{ ref('int_product_properties_compared') }}
    where
        not has_feature_row
        or is_mismatched
        or sync_exception is not null
),

{{ guard_ctes('differences', ref('int_salesforce_totals')) }}

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
