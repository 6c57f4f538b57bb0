{# Everything but the connections comes from the mapping and from the relation's exposure. #}
{% macro census_sync_config(relation, source_connection_id, activation_id, validate_only=true, paused=none) %}
    {% set syncs = {} %}
    {% for exposure in graph.exposures.values() %}
        {% for node_id in exposure.depends_on.nodes if exposure.meta.operation %}
            {% do syncs.update({graph.nodes[node_id].name: exposure}) %}
        {% endfor %}
    {% endfor %}
    {% set is_id = source_connection_id is integer and source_connection_id is not boolean and source_connection_id > 0 %}
    {% set faults = [] %}
    {% for name, value, is_right, expected in [
        ("relation", relation, relation in syncs, "one of " ~ syncs | sort | join(", ")),
        ("source_connection_id", source_connection_id, is_id, "a whole number: the end of its address in Census"),
        (
            "activation_id", activation_id, modules.re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", activation_id | string),
            "words joined by _, such as glimmering_donkey"
        ),
        ("validate_only", validate_only, validate_only is boolean, "true or false"),
        ("paused", paused, paused is boolean or paused is none, "true or false"),
    ] if not is_right %}
        {% do faults.append(name ~ " is '" ~ value ~ "', expected " ~ expected) %}
    {% endfor %}
    {% if faults %}
        {{ exceptions.raise_compiler_error(faults | join("\n")) }}
    {% endif %}

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
