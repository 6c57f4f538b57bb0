{# In one scan: the key columns are never NULL and together unique, and every row meets the conditions. #}
{% test one_row_per(model, key, conditions=[]) %}
select
    {{ key | join(",\n    ") }},
    count(*) as row_count
from {{ model }}
group by
    {{ key | join(",\n    ") }}
having
    count(*) > 1
    {%- for column in key %}
    or {{ column }} is null
    {%- endfor %}
    {%- for condition in conditions %}
    or count(case when {{ condition }} then 1 end) < count(*)
    {%- endfor %}
{% endtest %}
