-- Is the copy of the Salesforce table in the target's catalog equal to the current one?
-- Run this before you change salesforce_catalog: both row counts must be equal and everything else
-- 0. Records are matched by their Salesforce id.
{%- set current = source('salesforce', 'product_property_c') %}
{%- set is_same = target.database | lower == current.database | lower %}
{%- if execute and flags.WHICH == 'show' and is_same %}
    {{ exceptions.raise_compiler_error(
        "salesforce_catalog is already " ~ current.database ~ ", so the table would be compared with"
        ~ " itself. Run this before you change the var."
    ) }}
{%- endif %}
{%- set copy = api.Relation.create(
    database=target.database,
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
        count(current_id) as rows_in_current,
        count(copied_id) as rows_in_copy,
        count(case when copied_id is null then 1 end) as only_in_current,
        count(case when current_id is null then 1 end) as only_in_copy,
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
