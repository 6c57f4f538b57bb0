{# The guard, as CTEs: from `differences`, all that it needs of the comparison, to `judged`, which says whether it is
   tripped. A relation that offers differences is so spared a second comparison, which feature_sync_guard would be. #}
{% macro judge() -%}
differences as (
    select * from {{ ref('int_product_property_features') }}
    where
        is_mismatched
        or not has_feature_row
),

counted as (
    select
        count(case when not has_feature_row then 1 end) as unmatched_properties,
        {% for product in product_features() -%}
        count(case when current_{{ product.flag }} and not {{ product.flag }} then 1 end)
        {%- if not loop.last %}
        + {% endif %}
        {%- endfor %} as flags_to_switch_off,
        {{ var('guard_min_feature_rows') }} as guard_min_feature_rows,
        {{ var('guard_min_match_share') }} as guard_min_match_share,
        {{ var('guard_max_disable_share') }} as guard_max_disable_share,
        {{ var('guard_min_disables') }} as guard_min_disables,
        {{ var('allow_mass_switch_off') }} as allow_mass_switch_off
    from differences
),

checked as (
    select
        counted.*,
        salesforce.salesforce_properties,
        salesforce.flags_on_in_salesforce,
        features.feature_rows,
        feature_rows < guard_min_feature_rows as has_too_few_feature_rows,
        salesforce_properties = 0
        or salesforce_properties - unmatched_properties
        < guard_min_match_share * salesforce_properties as has_too_few_matches,
        flags_to_switch_off >= guard_min_disables
        and flags_to_switch_off > guard_max_disable_share * flags_on_in_salesforce
        and not allow_mass_switch_off as has_too_many_switch_offs
    from counted
    cross join {{ ref('stg_salesforce__totals') }} as salesforce
    cross join {{ ref('stg_sfdc_dbx__totals') }} as features
),

judged as (
    select
        *,
        has_too_few_feature_rows or has_too_few_matches or has_too_many_switch_offs as is_tripped
    from checked
)
{%- endmacro %}
