-- Before a sync as after it: while the guard is tripped the Census relations are empty, which must
-- not pass for "nothing differs". Runs after them, so that a tripped guard empties the backfill.
-- depends_on: {{ ref('product_property_feature_sync') }}
-- depends_on: {{ ref('product_property_feature_recent') }}
-- depends_on: {{ ref('product_property_feature_backfill') }}
-- depends_on: {{ ref('product_property_create') }}
{%- set select_verdict %}
    select verdict from {{ ref('feature_sync_guard') }}
    where is_tripped
{%- endset %}
{% if execute and flags.WHICH in ["build", "test"] %}
    {% set verdict = run_query(select_verdict).columns[0].values() | first %}
    {% if verdict %}
        {{ exceptions.raise_compiler_error(verdict) }}
    {% endif %}
{% endif %}
{{ select_verdict }}
