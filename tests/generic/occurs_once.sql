{# The value is never NULL and occurs once. The Census relations rely on it. #}
{% test occurs_once(model, column_name) %}
{{ runs_after_census_relations() }}
select
    {{ column_name }},
    count(*) as row_count
from {{ model }}
group by {{ column_name }}
having
    count(*) > 1
    or {{ column_name }} is null
{% endtest %}
