-- Which properties differ, and how? One row per property, the products that are wrong side by side.
with mismatches as (
    select * from {{ ref('feature_mismatches') }}
),

final as (
    select
        snappt_property_id_c,
        reverse_etl_id_c,
        property_name,
        min(mismatched_since_at) as mismatched_since_at,
        count(*) as mismatches,
        {%- for product in product_features() %}
        {%- set its_kind = "case when product = '" ~ product.name ~ "' then mismatch_kind end" %}
        max({{ its_kind }}) as {{ product.source_prefix }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from mismatches
    group by
        snappt_property_id_c,
        reverse_etl_id_c,
        property_name
)

select * from final
order by
    mismatches desc,
    reverse_etl_id_c asc
