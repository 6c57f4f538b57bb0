{% test expression_is_true(model, expression) %}
select 1 as failure
from {{ model }}
where not ({{ expression }})
{% endtest %}
