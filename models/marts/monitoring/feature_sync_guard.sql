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
    feature_rows,
    salesforce_records,
    unset_records,
    exceptions,
    unmatched_records,
    records_to_update,
    application_properties,
    properties_to_create,
    flags_on_in_salesforce,
    flags_to_switch_off,
    guard_min_feature_rows,
    guard_min_match_share,
    guard_max_exception_share,
    guard_max_unset_share,
    guard_max_create_share,
    guard_max_disable_share,
    guard_min_disables,
    has_too_few_feature_rows,
    has_nothing_to_compare,
    has_too_few_matches,
    has_too_many_exceptions,
    has_new_field,
    has_too_many_creations,
    has_too_many_switch_offs,
    is_tripped
from guard
