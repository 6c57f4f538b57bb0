-- The rows that each Census sync would read now, and how many were wrong at the last build. New
-- properties are not in Salesforce, so none of them was wrong there.
with wrong as (
    select distinct reverse_etl_id_c from {{ ref('feature_mismatches') }}
    where sync_exception is null
),

syncs as (
    select
        '' as label,
        '' as url,
        '' as relation,
        0 as offered,
        0 as mismatched
    where false
    {%- for exposure in graph.exposures.values() if execute and exposure.meta.operation %}
    {%- set relation = graph.nodes[exposure.depends_on.nodes[0]] %}

    union all

    select
        {{ dbt.string_literal(dbt.escape_single_quotes(exposure.label)) }} as label,
        {{ dbt.string_literal(dbt.escape_single_quotes(exposure.url or '')) }} as url,
        '{{ relation.name }}' as relation,
        count(*) as offered,
        count(wrong.reverse_etl_id_c) as mismatched
    from {{ relation.relation_name }} as offered
    left join wrong on offered.reverse_etl_id_c = wrong.reverse_etl_id_c
    {%- endfor %}
)

select * from syncs
order by label desc
