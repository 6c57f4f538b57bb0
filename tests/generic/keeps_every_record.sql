{# A model has one row per Salesforce record: a join has neither lost nor doubled any. `totals` is a relation with the
   number of records, salesforce_records. #}
{% test keeps_every_record(model, column_name, totals) %}
{{ runs_after_census_relations() }}
with counts as (
    select
        count(*) as row_count,
        count(distinct {{ column_name }}) as distinct_keys
    from {{ model }}
)

select
    counts.row_count,
    counts.distinct_keys,
    totals.salesforce_records
from counts
cross join {{ totals }} as totals
where
    counts.row_count <> totals.salesforce_records
    or counts.distinct_keys <> totals.salesforce_records
{% endtest %}
