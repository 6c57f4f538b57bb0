{# Census drops a row without a sync key, and every row of a key that occurs twice. #}
{% test valid_sync_keys(model, column_name) %}
{{ runs_after_census_relations() }}
select
    {{ sync_key_identity(column_name) }} as sync_key,
    count(*) as row_count
from {{ model }}
group by {{ sync_key_identity(column_name) }}
having
    count(*) > 1
    or {{ strip_blanks(sync_key_identity(column_name)) }} = ''
    or {{ sync_key_identity(column_name) }} is null
{% endtest %}
