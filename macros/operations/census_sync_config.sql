{# Everything but the connections comes from the mapping and from the relation's exposure. #}
{% macro census_sync_config(relation, source_connection_id, activation_id, validate_only=true, paused=none) %}
    {% set syncs = {} %}
    {% for exposure in graph.exposures.values() %}
        {% for node_id in exposure.depends_on.nodes if exposure.meta.operation %}
            {% do syncs.update({graph.nodes[node_id].name: exposure}) %}
        {% endfor %}
    {% endfor %}
    {% if relation not in syncs %}
        {{ exceptions.raise_compiler_error("relation is '" ~ relation ~ "', expected one of " ~ syncs | sort | join(", ")) }}
    {% endif %}
    {% if source_connection_id is not integer or source_connection_id is boolean or source_connection_id < 1 %}
        {{ exceptions.raise_compiler_error(
            "source_connection_id is '" ~ source_connection_id ~ "', expected a whole number: the end of its address in Census"
        ) }}
    {% endif %}
    {% if not modules.re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", activation_id | string) %}
        {{ exceptions.raise_compiler_error(
            "activation_id is '" ~ activation_id ~ "', expected words joined by _, such as glimmering_donkey"
        ) }}
    {% endif %}
    {% for name, value in {"validate_only": validate_only, "paused": paused}.items() %}
        {% if value is not boolean and not (name == "paused" and value is none) %}
            {{ exceptions.raise_compiler_error(name ~ " is '" ~ value ~ "', expected true or false") }}
        {% endif %}
    {% endfor %}

    {% set table = ref(relation) %}
    {% set sync = syncs[relation].meta %}
    {% set alerts = [] %}
    {% for type, options in sync.alerts.items() %}
        {% do alerts.append({"type": type, "send_for": "every_time", "should_send_recovery": true, "options": options}) %}
    {% endfor %}
    {% set mappings = [] %}
    {% for column in census_columns(relation) %}
        {% set field = salesforce_field(column) %}
        {% do mappings.append({
            "from": {"type": "column", "data": column},
            "to": field,
            "is_primary_identifier": field == sync.sync_key,
            "sync_null_values": true,
        }) %}
    {% endfor %}
    {% set config = {
        "not_verified": (
            "In v2 of the API: activation_id at the top level, connection_id in source_attributes, options of the alerts."
            ~ " With validate_only Census says what it does not take. Send the rest without this line."
        ),
        "label": syncs[relation].label,
        "operation": sync.operation,
        "activation_id": activation_id,
        "source_attributes": {
            "connection_id": source_connection_id,
            "object": {
                "type": "table",
                "table_catalog": table.database,
                "table_schema": table.schema,
                "table_name": table.identifier,
            },
        },
        "destination_attributes": {"object": sync.destination_object},
        "mappings": mappings,
        "field_behavior": "specific_properties",
        "mode": {"type": "triggered", "triggers": {"schedule": sync.schedule}},
        "alert_attributes": alerts,
        "paused": sync.schedule.frequency != "never" if paused is none else paused,
        "validate_only": validate_only,
    } %}
    {# One mapping a line, so that a review sees what changed. #}
    {% set lines = [] %}
    {% for key, value in config.items() %}
        {% set is_list = value is sequence and value is not string and value is not mapping %}
        {% set text = "[\n    " ~ value | map("tojson") | join(",\n    ") ~ "\n  ]" if is_list else value | tojson %}
        {% do lines.append(key | tojson ~ ": " ~ text) %}
    {% endfor %}
    {% do print("{\n  " ~ lines | join(",\n  ") ~ "\n}") %}
{% endmacro %}
