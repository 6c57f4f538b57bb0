-- One row per Salesforce property that can be synced and product.
with properties as (
    select * from {{ ref('int_product_property_features') }}
),

flags as (
    {% for product in product_features() -%}
    select
        salesforce_id,
        property_name,
        created_at,
        snappt_property_id_c,
        reverse_etl_id_c,
        '{{ product.name }}' as product,
        {{ product.flag }} as is_enabled,
        {{ product.start_date }} as started_at,
        {{ product.updated_date }} as updated_at,
        current_{{ product.flag }} as is_enabled_in_salesforce,
        current_{{ product.start_date }} as started_at_in_salesforce,
        current_{{ product.updated_date }} as updated_at_in_salesforce,
        {% if var('compare_feature_dates') %}{{ dates_differ(product) }}
        {%- else %}false{% endif %} as has_date_mismatch
    from properties
    {%- if not loop.last %}

    union all

    {% endif %}
    {%- endfor %}
),

final as (
    select
        *,
        case
            when is_enabled and not coalesce(is_enabled_in_salesforce, false)
                then 'missing_in_salesforce'
            when is_enabled_in_salesforce and not is_enabled then 'left_on_in_salesforce'
            when is_enabled_in_salesforce is null then 'never_set_in_salesforce'
            when has_date_mismatch then 'dates_differ'
        end as mismatch_kind
    from flags
)

select * from final
