-- How old are the sources and the last build? The limits are those of `dbt source freshness` and of
-- the guard. A time after now is ignored, but is_ahead says so; so is one before 1900.
{%- set timestamp = dbt.type_timestamp() %}
{%- set now = 'cast(' ~ dbt.current_timestamp() ~ ' as ' ~ timestamp ~ ')' %}
{%- set minutes = {'minute': 1, 'hour': 60, 'day': 1440} %}
{%- set build = {'error_after': {'count': var('guard_max_age_hours', 26), 'period': 'hour'}} %}
{%- set tables = [('Last build', ref('feature_sync_guard'), 'built_at', build)] %}
{%- for node in graph.sources.values() if execute %}
{%- if node.source_name == 'salesforce' %}
{%- set loaded_at = optional_column('salesforce_loaded_at_column') or 'null' %}
{%- do tables.append(('Salesforce replica', node.relation_name, loaded_at, node.freshness)) %}
{%- elif node.source_name == 'sfdc_dbx' %}
{%- do tables.append(('Features table', node.relation_name, newest_update(), node.freshness)) %}
{%- endif %}
{%- endfor %}
with ages as (
    {% for title, table, changed_at, limits in tables %}
    {%- set changed_at = 'cast(' ~ changed_at ~ ' as ' ~ timestamp ~ ')' %}
    select
        '{{ title }}' as title,
        {%- for limit in ['warn_after', 'error_after'] %}
        {%- set given = (limits or {})[limit] or {} %}
        cast({{ given.count * minutes[given.period] if given.count else 'null' }} as int)
            as {{ limit }},
        {%- endfor %}
        count(*) = 0 as is_empty,
        max({{ changed_at }}) > {{ now }} as is_ahead,
        max(
            case
                when {{ changed_at }} between timestamp '1900-01-01' and {{ now }}
                    then {{ changed_at }}
            end
        ) as newest_at
    from {{ table }}
    {%- if not loop.last %}

    union all

    {% endif %}
    {%- endfor %}
),

final as (
    select
        *,
        {{ dbt.datediff('newest_at', now, 'minute') | trim }} as minutes_old
    from ages
)

select
    title,
    newest_at,
    minutes_old,
    warn_after,
    error_after,
    is_ahead,
    case
        when is_empty then 'empty'
        when newest_at is null then 'unknown'
        when minutes_old > error_after then 'too old'
        when minutes_old > warn_after then 'old'
        else 'fresh'
    end as freshness
from final
order by title desc
