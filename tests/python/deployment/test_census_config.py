"""The configuration that Census is given: as agreed in review, made from the mapping."""

import json
from typing import Any

import pytest
from engines import CENSUS_RELATIONS, INCIDENT, ROOT, Project
from oracle import CENSUS_COLUMNS

# The agreed configuration, which the job and `census.py diff` compare with Census.
AGREED = ROOT / "models/marts/census/product_property_feature_sync.json"
IDS = "source_connection_id: 11, activation_id: glimmering_donkey"
NAME_FIELD = {
    "from": {"data": "name", "type": "column"},
    "is_primary_identifier": False,
    "sync_null_values": True,
    "to": "Name",
}
NEVER, DAILY = {"frequency": "never"}, {"frequency": "daily", "hour": 6, "minute": 30}
# The differences of each sync: label, operation, schedule, further mappings.
SYNCS: dict[str, tuple[str, str, dict[str, Any], list[dict[str, Any]]]] = {
    "product_property_feature_sync": ("standing sync", "update", NEVER, []),
    "product_property_feature_backfill": ("backfill of one day", "update", NEVER, []),
    "product_property_feature_recent": ("daily catch-up", "update", DAILY, []),
    "product_property_create": (
        "Census, new properties, with their product features",
        "upsert",
        {"frequency": "hourly"},
        [NAME_FIELD],
    ),
}


def test_the_agreed_configuration_is_what_the_field_of_each_column_needs() -> None:
    agreed = json.loads(AGREED.read_text())
    assert [m["from"]["data"] for m in agreed["mappings"]] == list(CENSUS_COLUMNS)
    assert {m["to"].lower().replace("__c", "_c") for m in agreed["mappings"]} == set(CENSUS_COLUMNS)
    keys = [m["to"] for m in agreed["mappings"] if m["is_primary_identifier"]]
    assert keys == ["Reverse_ETL_ID__c"]
    assert agreed["destination_attributes"] == {"object": "Product_Property__c"}
    alerts = {alert["type"]: alert["options"] for alert in agreed["alert_attributes"]}
    assert alerts["InvalidRecordPercentAlertConfiguration"] == {"threshold": 1}
    assert {name.replace("AlertConfiguration", "") for name in alerts} == {
        *("Failure", "InvalidRecordPercent", "RecordCountDeviation", "Runtime")
    }
    # People read the file before they send it, so this is seen with --quiet too.
    assert agreed["not_verified"].startswith("In v2 of the API: activation_id at the top level")


def test_the_agreed_configuration_is_what_the_run_operation_prints(
    incident: Project, capsys: pytest.CaptureFixture
) -> None:
    """After an intended change: print it into the file again, and have the change reviewed."""
    run = ("--quiet", "run-operation", "census_sync_config", "--args")
    capsys.readouterr()
    assert incident.dbt(*run, f"{{relation: {CENSUS_RELATIONS[0]}, {IDS}}}", *INCIDENT).success
    assert capsys.readouterr().out == AGREED.read_text()


def test_every_sync_is_the_agreed_one_but_for_its_relation(
    incident: Project, capsys: pytest.CaptureFixture
) -> None:
    """A sync with a schedule is created paused, so that it writes nothing unattended."""
    calls = [f"census_sync_config('{relation}', 11, 'glimmering_donkey'" for relation in SYNCS]
    calls.append(f"{calls[-1]}, validate_only=false, paused=false")
    refs = "".join(f"{{% do ref('{relation}') %}}" for relation in SYNCS)  # seen while parsing
    printing = refs + "".join(f"{{% do {call}) if execute %}}" for call in calls)
    capsys.readouterr()
    compile_inline = ("--quiet", "compile", "--inline", printing)
    assert incident.dbt(*compile_inline, *INCIDENT).success, incident.output
    printed = capsys.readouterr().out.replace("\n}\n{", "\n},{")
    *configurations, sent = json.loads(f"[{printed}]")
    for (relation, sync), configuration in zip(SYNCS.items(), configurations, strict=True):
        label, operation, schedule, mappings = sync
        agreed = json.loads(AGREED.read_text())
        agreed["label"] = label if "," in label else f"Census, product features, {label}"
        agreed["mode"]["triggers"]["schedule"] = schedule
        agreed["mappings"] += mappings
        agreed["source_attributes"]["object"]["table_name"] = relation
        agreed |= {"operation": operation, "paused": schedule["frequency"] != "never"}
        assert configuration == agreed
    assert sent == configurations[-1] | {"validate_only": False, "paused": False}


def test_all_that_is_wrong_with_the_arguments_is_said_at_once(incident: Project) -> None:
    def refusal(arguments: str) -> str:
        run = ("--quiet", "run-operation", "census_sync_config", "--args", f"{{{arguments}}}")
        assert not incident.dbt(*run, *INCIDENT).success
        return incident.output

    said = refusal(
        "relation: feature_mismatches, source_connection_id: x, activation_id: 7 up,"
        " validate_only: perhaps, paused: perhaps"
    )
    for fault in (
        "relation is 'feature_mismatches', expected one of product_property_create, product",
        "source_connection_id is 'x', expected a whole number",
        "activation_id is '7 up', expected words joined by _",
        "validate_only is 'perhaps', expected true or false",
        "paused is 'perhaps', expected true or false",
    ):
        assert fault in said
    sync = "relation: product_property_feature_sync, activation_id: a"
    assert "is '0', expected a whole number" in refusal(f"{sync}, source_connection_id: 0")
