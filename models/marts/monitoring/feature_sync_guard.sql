-- One row. A features table that is empty, cut off or cannot be joined would switch products off in
-- Salesforce by the thousand, and every system after us would accept it.
with {{ judge() }},

explained as (
    select
        *,
        concat(
            feature_rows,
            ' feature rows have a property id',
            case
                when not has_too_few_feature_rows then ''
                else concat(', fewer than guard_min_feature_rows (', guard_min_feature_rows, ')')
            end,
            '; ',
            unmatched_properties,
            ' of the ',
            salesforce_properties,
            ' properties in Salesforce have no feature row',
            case
                when not has_too_few_matches then ''
                else
                    concat(', more than guard_min_match_share (', guard_min_match_share, ') allows')
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
        unmatched_properties,
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
