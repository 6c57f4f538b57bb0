"""What must not drift apart, and how the project behaves when it is used without make."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import click
import pytest
import yaml
from conftest import CENSUS_RELATIONS, ROOT, Project, copy_of
from databricks.sdk.service.jobs import JobSettings
from dbt.cli.main import cli

# The field mapping of the Census sync, as its owners documented it.
DOCUMENTED_FIELDS = """
snappt_property_id_c reverse_etl_id_c
fraud_detection_enabled_c fraud_detection_start_date_c fraud_detection_updated_date_c
income_verification_enabled_c income_verification_start_date_c income_verification_updated_date_c
id_verification_enabled_c id_verification_start_date_c id_verification_updated_date_c
idv_only_enabled_c idv_only_start_date_c idv_only_updated_date_c
connected_payroll_enabled_c connected_payroll_start_date_c connected_payroll_updated_date_c
bank_linking_enabled_c bank_linking_start_date_c bank_linking_updated_date_c
verification_of_rent_enabled_c vor_start_date_c vor_updated_date_c
""".split()


def manifest(project: Project, *arguments: str) -> dict:
    """Parse the project with some dbt arguments and return its manifest."""
    assert project.dbt("parse", *arguments).success, project.output
    return json.loads((project.path / "target" / "manifest.json").read_text())


@pytest.mark.parametrize("relation", CENSUS_RELATIONS)
def test_mapping_contract_and_document_agree(incident: Project, relation: str) -> None:
    contract = manifest(incident)["nodes"][f"model.product_property_sync.{relation}"]
    assert contract["config"]["contract"]["enforced"]
    extra = ["batch_number"] if relation.endswith("backfill") else []
    assert list(contract["columns"]) == DOCUMENTED_FIELDS + extra
    built = incident.query(f"describe crm.sfdc_dbx.{relation}")
    assert [name for name, *_ in built] == DOCUMENTED_FIELDS + extra
    assert incident.dbt("--quiet", "compile", "--inline", "{{ census_columns() | join(' ') }}")
    assert incident.messages[-1].split() == DOCUMENTED_FIELDS


def test_every_feature_column_is_mapped(incident: Project) -> None:
    """A column that the features table has and the mapping lacks would be a forgotten product."""
    assert incident.dbt("--quiet", "compile", "--inline", "{{ feature_columns() | join(' ') }}")
    mapped = ["property_id", *incident.messages[-1].split()]
    columns = incident.query("describe crm.sfdc_dbx.product_property_w_features")
    assert mapped == [name for name, *_ in columns]


@pytest.mark.parametrize(
    "day",
    ["2025-13-01", "2025-02-29", "2025-00-10", "0000-01-01", "21.11.2025", "2025-11-21' or 1"],
)
def test_malformed_as_of_date_says_what_is_expected(incident: Project, day: str) -> None:
    result = incident.dbt("parse", "--vars", json.dumps({"as_of_date": day}))
    expected = f"The var as_of_date is '{day}', expected a calendar day as YYYY-MM-DD"
    assert expected in str(result.exception)


@pytest.mark.parametrize("day", ["2024-02-29", "2025-12-31", "0001-01-01", "9999-12-31"])
def test_calendar_days_are_accepted(incident: Project, day: str) -> None:
    result = incident.dbt("compile", "--vars", json.dumps({"as_of_date": day}), "--quiet")
    assert result.success, result.exception


WRONG_VARS = {
    "salesforce_catalog: null": "is none, expected a name",
    '{salesforce_catalog: "crm\'; drop table t; --"}': "expected a name of letters, digits",
    "salesforce_deleted_column: 'a, b'": "expected a column name of letters, digits and _, or none",
    "{recent_days: '7'}": "The var recent_days is '7', expected a whole number from 0",
    "recent_days: -1": "expected a whole number from 0",
    "backfill_batch_size: 0": "The var backfill_batch_size is 0, expected a whole number from 1",
    "backfill_batch_size: true": "is true, expected a whole number",
    "{compare_feature_dates: 'false'}": "is 'false', expected true or false",
    "census_principal: a`b": "expected a user, group or service principal",
    "production_targets: [duckdb, 3]": "expected a list of names",
    "salesforce_catalogue: crm": "no var salesforce_catalogue. Did you mean salesforce_catalog?",
    "recent_day: 7": "There is no var recent_day. Did you mean recent_days?",
    "compare_dates: true": "There is no var compare_dates. Did you mean compare_feature_dates?",
}


@pytest.mark.parametrize("variables", WRONG_VARS)
def test_a_wrong_var_says_what_is_expected(incident: Project, variables: str) -> None:
    result = incident.dbt("parse", "--vars", variables)
    assert WRONG_VARS[variables] in str(result.exception)


def test_every_var_is_checked_and_in_the_readme(incident: Project) -> None:
    names = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]
    checked = re.findall(r'^        "(\w+)": "', (ROOT / "macros/check_vars.sql").read_text(), re.M)
    documented = re.findall(r"`(\w+)`(?=[^|]*\|)", (ROOT / "README.md").read_text())
    assert set(names) <= set(checked)
    assert set(names) <= set(documented)


def test_a_careless_target_is_refused_before_anything_is_written(
    empty_project: Project, tmp_path: Path
) -> None:
    project = copy_of(empty_project.path, tmp_path / "project")
    result = project.dbt("build", "--vars", "production_targets: [prod]")
    assert "Target 'duckdb' may not write to the production schema" in str(result.exception)
    assert not list((project.path / "warehouse").iterdir())


def test_seeds_are_what_the_generator_writes(tmp_path: Path) -> None:
    generator = ROOT / "scripts" / "generate_seeds.py"
    subprocess.run(
        [sys.executable, generator, "--output-dir", tmp_path], check=True, capture_output=True
    )
    for seed in (ROOT / "seeds").glob("*.csv"):
        assert (tmp_path / seed.name).read_bytes() == seed.read_bytes()


def test_the_stand_in_holds_the_dbt_utils_tests_that_are_called_and_no_more(
    incident: Project,
) -> None:
    called = {
        node["test_metadata"]["name"]
        for node in manifest(incident)["nodes"].values()
        if (node.get("test_metadata") or {}).get("namespace") == "dbt_utils"
    }
    package = (ROOT / "offline/dbt_utils/macros/generic_tests.sql").read_text()
    assert set(re.findall(r"{% (?:test|macro) (\w+)", package)) == called


def test_the_lock_files_name_no_host() -> None:
    for file in ("requirements.txt", "package-lock.yml"):
        assert "://" not in (ROOT / file).read_text()
    packages = yaml.safe_load((ROOT / "package-lock.yml").read_text())
    assert [package["name"] for package in packages["packages"]] == ["dbt_utils"]


def test_the_commands_of_the_readme_work_without_make(tmp_path: Path) -> None:
    project = copy_of(ROOT, tmp_path / "project").path
    for leftover in ("profiles.yml", "dbt_packages", "target", "warehouse/crm.duckdb"):
        subprocess.run(["rm", "-rf", leftover], cwd=project, check=True)
    readme = (ROOT / "README.md").read_text()
    commands = re.search(r"## Without make\n.*?```bash\n(.*?)```", readme, re.DOTALL)
    assert commands
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-e", "-c", commands[1]],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    assert result.stdout.count("Completed successfully") == commands[1].count("dbt build") + 1


BUNDLE = yaml.safe_load((ROOT / "databricks.yml").read_text())


def deployed_job(target: str) -> dict:
    """Return the job with the variables of a target filled in, as a deployment does."""
    values = {name: variable.get("default") for name, variable in BUNDLE["variables"].items()}
    values |= {"warehouse_id": "0123456789abcdef", "notified_on_failure": ["ops@example.com"]}
    values |= BUNDLE["targets"][target]["variables"]

    def fill(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, dict):
            return {key: fill(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [fill(entry) for entry in value]
        if whole := re.fullmatch(r"\${var\.(\w+)}", str(value)):
            return values[whole[1]]
        if isinstance(value, str):
            return re.sub(r"\${var\.(\w+)}", lambda match: str(values[match[1]]), value)
        return value

    return fill(BUNDLE["resources"]["jobs"]["product_property_sync"])


@pytest.mark.parametrize("target", BUNDLE["targets"])
def test_every_key_of_the_job_is_known_to_the_databricks_sdk(target: str) -> None:
    """The SDK drops keys that it does not know, so they would be missing afterwards."""
    assert len(BUNDLE["resources"]["jobs"]) == 1
    job = deployed_job(target)
    assert JobSettings.from_dict(job).as_dict() == job


@pytest.mark.parametrize("target", BUNDLE["targets"])
def test_every_dbt_command_of_the_job_parses(target: str) -> None:
    profile = yaml.safe_load((ROOT / "profiles.yml.example").read_text())["product_property_sync"]
    sequence = []
    for task in deployed_job(target)["tasks"]:
        for command in task["dbt_task"]["commands"]:
            program, *arguments = shlex.split(command)
            assert program == "dbt"
            parsed = parse_dbt(arguments)
            sequence.append(arguments[0])
            if arguments != ["deps"]:
                assert parsed["target"] in profile["outputs"]
                assert set(parsed["vars"]) == {"http_path", "dev_schema"}
    assert sequence == ["deps", "source", "deps", "build", "deps", "test"]


@pytest.mark.parametrize("target", ["prod", "job", "dev"])
def test_databricks_targets_are_complete(incident: Project, tmp_path: Path, target: str) -> None:
    """The adapter accepts each, and none can land in hive_metastore for want of a catalog."""
    project = copy_of(incident.path, tmp_path / "project")
    names = re.findall(r"env_var\('(\w+)'", (ROOT / "profiles.yml.example").read_text())
    with mock.patch.dict(os.environ, dict.fromkeys(names, "dbt_someone")):
        arguments = ("--target", target, "--vars", "http_path: sql/1")
        nodes = manifest(project, *arguments)["nodes"].values()
    models = [node for node in nodes if node["resource_type"] == "model"]
    assert {node["database"] for node in models} == {"crm"}
    schema = "dbt_someone" if target == "dev" else "sfdc_dbx"
    assert {node["schema"] for node in models} == {schema, f"{schema}_staging"}


def parse_dbt(arguments: list[str]) -> dict:
    """Parse a dbt command line without running it; unknown options are errors."""
    context = cli.make_context("dbt", list(arguments))
    command, rest = cli, [*context._protected_args, *context.args]
    while isinstance(command, click.Group):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
    return context.params
