"""The configuration that Census is given: valid, as agreed in review, made from the mapping."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CENSUS_RELATIONS, ROOT, Project
from jsonschema import Draft202012Validator, ValidationError
from oracle import CENSUS_COLUMNS

SCHEMA_FILE = Path(__file__).parent / "census_sync.schema.json"
SCHEMA = Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))
# The agreed configuration, which the job and `census.py diff` compare with Census.
AGREED = ROOT / "models/marts/census/product_property_feature_sync.json"
CONNECTIONS = "source_connection_id: 11, destination_connection_id: 22"
NAME_FIELD = {
    "from": {"data": "name", "type": "column"},
    "is_primary_identifier": False,
    "sync_null_values": True,
    "to": "Name",
}
# What the other syncs have otherwise: label, operation, schedule, further mappings.
OTHERS = {
    "product_property_feature_sync": None,
    "product_property_feature_backfill": (
        ("Census, product features, backfill of one day", "update", {"frequency": "never"}, [])
    ),
    "product_property_feature_recent": (
        "Census, product features, daily catch-up",
        "update",
        {"frequency": "daily", "hour": 6, "minute": 30},
        [],
    ),
    "product_property_create": (
        "Census, new properties, with their product features",
        "upsert",
        {"frequency": "hourly"},
        [NAME_FIELD],
    ),
}


def agreed(relation: str) -> dict[str, Any]:
    """Return the agreed configuration of a sync."""
    payload = json.loads(AGREED.read_text())
    if OTHERS[relation]:
        label, operation, schedule, mappings = OTHERS[relation]
        payload |= {"label": label, "operation": operation}
        payload["mode"]["triggers"]["schedule"] = schedule
        payload["mappings"] += mappings
        payload["source_attributes"]["object"]["table_name"] = relation
    return payload


def config(project: Project, capsys: pytest.CaptureFixture, arguments: str) -> dict[str, Any]:
    """Return what the run-operation prints, which must be JSON and nothing else."""
    run = ("--quiet", "run-operation", "census_sync_config", "--args", arguments)
    capsys.readouterr()
    assert project.dbt(*run).success, project.output
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("relation", CENSUS_RELATIONS)
def test_the_payload_is_valid_and_the_agreed_one(
    incident: Project, capsys: pytest.CaptureFixture, relation: str
) -> None:
    """After an intended change: print it into the file again, and have the change reviewed."""
    payload = config(incident, capsys, f"{{relation: {relation}, {CONNECTIONS}}}")
    SCHEMA.validate(payload)
    assert payload == agreed(relation)
    creates = relation == "product_property_create"
    assert payload["operation"] == ("upsert" if creates else "update")
    assert payload["destination_attributes"]["object"] == "Product_Property__c"
    assert len(payload["mappings"]) == len(CENSUS_COLUMNS) + creates
    keys = [mapping for mapping in payload["mappings"] if mapping["is_primary_identifier"]]
    assert [(key["from"]["data"], key["to"]) for key in keys] == [
        ("reverse_etl_id_c", "Reverse_ETL_ID__c")
    ]


def test_creating_must_be_asked_for(incident: Project, capsys: pytest.CaptureFixture) -> None:
    arguments = f"relation: product_property_feature_sync, {CONNECTIONS}"
    assert config(incident, capsys, f"{{{arguments}}}")["validate_only"] is True
    created = config(incident, capsys, f"{{{arguments}, validate_only: false}}")
    assert created["validate_only"] is False


def test_v2_takes_an_activation(incident: Project, capsys: pytest.CaptureFixture) -> None:
    arguments = "relation: product_property_feature_sync, source_connection_id: 11"
    payload = config(incident, capsys, f"{{{arguments}, activation_id: glimmering_donkey}}")
    expected = agreed("product_property_feature_sync")
    expected["destination_attributes"] = {
        "activation_id": "glimmering_donkey",
        "object": "Product_Property__c",
    }
    assert payload == expected
    run = ("run-operation", "census_sync_config", "--args")
    assert incident.dbt(*run, f"{{{arguments}, activation_id: glimmering_donkey}}").success
    assert "Not verified for v2 of the API: the key activation_id" in incident.output


WRONG_ARGUMENTS = {
    f"{{relation: feature_mismatches, {CONNECTIONS}}}": "expected one of product_property_create",
    "{relation: product_property_feature_sync, source_connection_id: x, "
    "destination_connection_id: 2}": "A connection id is 'x', expected a whole number",
    "{relation: product_property_feature_sync, source_connection_id: 1, "
    "destination_connection_id: 0}": "A connection id is '0', expected a whole number",
    f"{{relation: product_property_feature_sync, {CONNECTIONS}, activation_id: a}}": "Give either",
    "{relation: product_property_feature_sync, source_connection_id: 1}": "Give either destination",
    "{relation: product_property_feature_sync, source_connection_id: 1, activation_id: 7 up}": (
        "activation_id is '7 up', expected words joined by _"
    ),
    f"{{relation: product_property_feature_sync, {CONNECTIONS}, validate_only: perhaps}}": (
        "validate_only is 'perhaps', expected true or false"
    ),
}


@pytest.mark.parametrize("arguments", WRONG_ARGUMENTS)
def test_wrong_arguments_are_refused(incident: Project, arguments: str) -> None:
    run = ("--quiet", "run-operation", "census_sync_config", "--args", arguments)
    assert not incident.dbt(*run).success
    assert WRONG_ARGUMENTS[arguments] in incident.output


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another operation": lambda p: p.update(operation="overwrite"),
    "no sync key": lambda p: p["mappings"][1].update(is_primary_identifier=False),
    "two sync keys": lambda p: p["mappings"][0].update(is_primary_identifier=True),
    "the replica's name of a field": lambda p: p["mappings"][2].update(to="fraud_enabled_c"),
    "a table without its catalog": lambda p: p["source_attributes"]["object"].pop("table_catalog"),
    "a connection by name": lambda p: p["source_attributes"].update(connection_id="databricks"),
    "a setting that is not there": lambda p: p.update(schedule="hourly"),
    "a share for a percentage": lambda p: p["alert_attributes"][1]["options"].update(threshold=0.5),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_schema_finds_faults(fault: str) -> None:
    payload = json.loads(AGREED.read_text())
    broken = copy.deepcopy(payload)
    FAULTS[fault](broken)
    SCHEMA.validate(payload)
    with pytest.raises(ValidationError):
        SCHEMA.validate(broken)
