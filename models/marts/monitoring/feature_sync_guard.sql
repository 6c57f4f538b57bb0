-- One row. A features table that is empty, cut off or cannot be joined would switch products off in
-- Salesforce by the thousand, and every system after us would accept it.
with properties as (
    select * from {{ ref('int_product_property_features') }}
),

features as (
    select * from {{ ref('stg_sfdc_dbx__product_features') }}
),

counted as (
    select
        (select count(features.property_id) from features) as feature_rows,
        count(*) as salesforce_properties,
        count(case when has_feature_row then 1 end) as matched_properties,
        {% for product in product_features() -%}
        count(case when current_{{ product.flag }} then 1 end)
        {%- if not loop.last %}
        + {% endif %}
        {%- endfor %} as flags_on_in_salesforce,
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
    from properties
),

judged as (
    select
        *,
        feature_rows < guard_min_feature_rows as has_too_few_feature_rows,
        salesforce_properties = 0
        or matched_properties < guard_min_match_share * salesforce_properties
            as has_too_few_matches,
        flags_to_switch_off >= guard_min_disables
        and flags_to_switch_off > guard_max_disable_share * flags_on_in_salesforce
        and not allow_mass_switch_off as has_too_many_switch_offs
    from counted
),

explained as (
    select
        *,
        has_too_few_feature_rows or has_too_few_matches or has_too_many_switch_offs as is_tripped,
        concat(
            feature_rows,
            ' properties have a feature row',
            case
                when not has_too_few_feature_rows then ''
                else concat(', fewer than guard_min_feature_rows (', guard_min_feature_rows, ')')
            end,
            '; ',
            matched_properties,
            ' of the ',
            salesforce_properties,
            ' properties in Salesforce have one',
            case
                when not has_too_few_matches then ''
                else concat(', less than guard_min_match_share (', guard_min_match_share, ')')
            end,
            '; ',
            flags_to_switch_off,
            ' of the ',
            flags_on_in_salesforce,
            ' flags that are on in Salesforce would be switched off',
            case
                when not has_too_many_switch_offs then ''
                else concat(', more than guard_max_disable_share (', guard_max_disable_share, ')')
            end,
            '.'
        ) as findings,
        case
            when has_too_few_feature_rows or has_too_few_matches then ''
            else concat(
                ' If so many products really are to be switched off: ',
                'dbt build --vars "allow_mass_switch_off: true".'
            )
        end as way_through
    from judged
),

final as (
    select
        feature_rows,
        salesforce_properties,
        matched_properties,
        flags_on_in_salesforce,
        flags_to_switch_off,
        guard_min_feature_rows,
        guard_min_match_share,
        guard_max_disable_share,
        guard_min_disables,
        allow_mass_switch_off,
        is_tripped,
        case
            when is_tripped
                then concat(
                    'The guard is tripped, nothing is offered to Census: ',
                    findings,
                    ' Repair product_property_w_features or the replica, then run dbt build.',
                    way_through
                )
            else concat('The guard is open: ', findings)
        end as verdict
    from explained
)

select * from final
