{# Everything but the connections comes from the mapping and from the relation's exposure. #}
{% macro census_sync_config(
    relation, source_connection_id, destination_connection_id=none, activation_id=none, validate_only=true
) %}
    {% set syncs = {} %}
    {% for exposure in graph.exposures.values() %}
        {% for node_id in exposure.depends_on.nodes if exposure.meta.operation %}
            {% do syncs.update({graph.nodes[node_id].name: exposure}) %}
        {% endfor %}
    {% endfor %}
    {% if relation not in syncs %}
        {{ exceptions.raise_compiler_error("relation is '" ~ relation ~ "', expected one of " ~ syncs | sort | join(", ")) }}
    {% endif %}
    {% if (destination_connection_id is none) == (activation_id is none) %}
        {{ exceptions.raise_compiler_error(
            "Give either destination_connection_id (v1 of the API) or activation_id (v2), the Salesforce side of the sync."
        ) }}
    {% endif %}
    {% for id in [source_connection_id, destination_connection_id] if id is not none %}
        {% if id is not integer or id is boolean or id < 1 %}
            {{ exceptions.raise_compiler_error(
                "A connection id is '" ~ id ~ "', expected a whole number: the end of the connection's address in Census"
            ) }}
        {% endif %}
    {% endfor %}
    {% if activation_id is not none and not modules.re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", activation_id | string) %}
        {{ exceptions.raise_compiler_error(
            "activation_id is '" ~ activation_id ~ "', expected words joined by _, such as glimmering_donkey"
        ) }}
    {% endif %}
    {% if validate_only is not boolean %}
        {{ exceptions.raise_compiler_error("validate_only is '" ~ validate_only ~ "', expected true or false") }}
    {% endif %}

    {% set table = ref(relation) %}
    {% set sync = syncs[relation].meta %}
    {% set destination = {"object": sync.destination_object} %}
    {% if activation_id is none %}
        {% do destination.update({"connection_id": destination_connection_id}) %}
    {% else %}
        {% do destination.update({"activation_id": activation_id}) %}
        {% do log(
            "Not verified for v2 of the API: the key activation_id in destination_attributes, and whether"
            ~ " source_attributes still takes a connection_id. With validate_only, Census says so before it creates anything.",
            info=true,
        ) %}
    {% endif %}
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
        "label": syncs[relation].label,
        "operation": sync.operation,
        "source_attributes": {
            "connection_id": source_connection_id,
            "object": {
                "type": "table",
                "table_catalog": table.database,
                "table_schema": table.schema,
                "table_name": table.identifier,
            },
        },
        "destination_attributes": destination,
        "mappings": mappings,
        "field_behavior": "specific_properties",
        "mode": {"type": "triggered", "triggers": {"schedule": sync.schedule}},
        "alert_attributes": [
            {
                "type": "FailureAlertConfiguration",
                "send_for": "every_time",
                "should_send_recovery": true,
                "options": none,
            },
            {
                "type": "InvalidRecordPercentAlertConfiguration",
                "send_for": "every_time",
                "should_send_recovery": true,
                "options": {"threshold": sync.alert_above_percent},
            },
        ],
        "paused": false,
        "validate_only": validate_only,
    } %}
    {% do print(config | tojson(indent=2)) %}
{% endmacro %}
