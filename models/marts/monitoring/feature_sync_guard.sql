-- One row: the guard as of the last build.
with compared as (
    select * from {{ ref('int_product_properties_at_build') }}
),

totals as (
    {{ salesforce_totals('compared', prefix='current_') }}
),

{{ guard_ctes('compared', 'totals', ref('int_properties_not_in_salesforce')) }}

select
    {{ built_at() }} as built_at,
    salesforce_records,
    exceptions,
    comparable_records,
    records_to_match,
    matched_records,
    records_to_update,
    flags_on_in_salesforce,
    flags_to_switch_off,
    switch_off_product,
    product_flags_on,
    product_flags_to_switch_off,
    application_properties,
    properties_to_create,
    {{ guard_limits() | map(attribute='column') | join(',\n    ') }},
    is_tripped
from guard
