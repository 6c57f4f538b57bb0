-- Is the copy of the Salesforce table in the catalog compare_with_catalog equal to the one that is
-- read now? To be asked before salesforce_catalog is changed. Equal when both row counts are the
-- same and everything else is 0. A record is recognised by its Salesforce id.
{%- set current = source('salesforce', 'product_property_c') %}
{%- set copy = api.Relation.create(
    database=var('compare_with_catalog'),
    schema=current.schema,
    identifier=current.identifier,
) %}
{%- set columns = required_columns()['salesforce.product_property_c'] | reject('equalto', 'id') %}
{%- set columns = columns | list %}
with current_rows as (
    select * from {{ current }}
),

copied_rows as (
    select * from {{ copy }}
),

compared as (
    select
        current_rows.id as current_id,
        copied_rows.id as copied_id,
        {%- for column in columns %}
        {%- set both = 'current_rows.id = copied_rows.id' %}
        {%- set differs = 'current_rows.' ~ column ~ ' is distinct from copied_rows.' ~ column %}
        case when {{ both }} and {{ differs }} then 1 end as {{ column }}_differs
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from current_rows
    full outer join copied_rows on current_rows.id = copied_rows.id
),

final as (
    select
        count(current_id) as rows_in_{{ current.database }},
        count(copied_id) as rows_in_{{ copy.database }},
        count(case when copied_id is null then 1 end) as only_in_{{ current.database }},
        count(case when current_id is null then 1 end) as only_in_{{ copy.database }},
        count(
            coalesce({{ columns | join('_differs, ') }}_differs)
        ) as rows_that_differ,
        {%- for column in columns %}
        count({{ column }}_differs) as {{ column }}_differs
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from compared
)

select * from final
