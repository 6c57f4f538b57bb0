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
        (select count(*) from features) as feature_rows,
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
        {%- endfor %} as flags_to_switch_off
    from properties
),

judged as (
    select
        *,
        feature_rows < {{ var('guard_min_feature_rows') }} as has_too_few_feature_rows,
        salesforce_properties = 0
        or matched_properties < {{ var('guard_min_match_share') }} * salesforce_properties
            as has_too_few_matches,
        flags_to_switch_off >= {{ var('guard_min_disables') }}
        and flags_to_switch_off > {{ var('guard_max_disable_share') }} * flags_on_in_salesforce
        and not {{ var('allow_mass_switch_off') }} as switches_off_too_many
    from counted
),

explained as (
    select
        *,
        has_too_few_feature_rows or has_too_few_matches or switches_off_too_many as is_tripped,
        concat_ws(
            '; ',
            concat(
                feature_rows, ' properties have a feature row',
                case
                    when has_too_few_feature_rows
                        then ', fewer than guard_min_feature_rows ({{ var("guard_min_feature_rows") }})'
                    else ''
                end
            ),
            concat(
                matched_properties, ' of the ', salesforce_properties, ' properties in Salesforce have one',
                case
                    when has_too_few_matches
                        then ', less than guard_min_match_share ({{ var("guard_min_match_share") }})'
                    else ''
                end
            ),
            concat(
                flags_to_switch_off, ' of the ', flags_on_in_salesforce,
                ' flags that are on in Salesforce would be switched off',
                case
                    when switches_off_too_many
                        then ', more than guard_max_disable_share ({{ var("guard_max_disable_share") }})'
                    else ''
                end
            )
        ) as findings
    from judged
),

final as (
    select
        feature_rows,
        salesforce_properties,
        matched_properties,
        flags_on_in_salesforce,
        flags_to_switch_off,
        matched_properties / nullif(salesforce_properties, 0) as match_share,
        flags_to_switch_off / nullif(flags_on_in_salesforce, 0) as disable_share,
        is_tripped,
        case
            when is_tripped
                then concat(
                    'The guard is tripped, nothing is offered to Census: ', findings, '. ',
                    'Repair product_property_w_features or the replica, then run dbt build.',
                    case
                        when not (has_too_few_feature_rows or has_too_few_matches)
                            then
                                ' If so many products really are to be switched off: '
                                || 'dbt build --vars "allow_mass_switch_off: true".'
                        else ''
                    end
                )
            else concat('The guard is open: ', findings, '.')
        end as verdict
    from explained
)

select * from final
