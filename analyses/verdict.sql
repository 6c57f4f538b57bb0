-- The guard's verdict as the programs show and obey it, in one row. A build that is too old counts
-- as tripped. Only `dbt show` reads the warehouse for it: compiling must not need one.
-- depends_on: {{ ref('feature_sync_guard') }}
{%- set facts = guard_facts() if flags.WHICH == 'show' %}
{%- set salesforce = graph.sources.values() | selectattr('source_name', 'equalto', 'salesforce') %}
{%- set url = (salesforce | first).source_meta.salesforce_base_url if execute %}
{%- set verdict = dbt.escape_single_quotes(guard_verdict(facts)) %}
select
    {{ not facts or facts.is_tripped or facts.is_outdated }} as is_tripped,
    {{ dbt.string_literal(verdict) }} as verdict,
    '{{ facts.built_at if facts }}' as built_at,
    '{{ var("as_of_date") or "" }}' as asked_day,
    '{{ url or "" }}' as salesforce_url
