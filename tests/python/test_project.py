"""What must not drift apart, and how the project behaves when it is used without make."""

import csv
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
import trigger_census_sync
import yaml
from conftest import (
    CENSUS_RELATIONS,
    EMAIL,
    INCIDENT,
    PROOF,
    PROPERTIES,
    ROOT,
    Project,
    copy_of,
    failures,
    written,
)
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
    extra = {CENSUS_RELATIONS[2]: ["batch_number"], CENSUS_RELATIONS[3]: ["name"]}.get(relation, [])
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
    [
        "2025-13-01",
        "2025-02-29",
        "1900-02-29",
        "2025-00-10",
        "0000-01-01",
        "21.11.2025",
        "2025-11-21' or 1",
    ],
)
def test_malformed_as_of_date_says_what_is_expected(incident: Project, day: str) -> None:
    result = incident.dbt("parse", "--vars", json.dumps({"as_of_date": day}))
    expected = f"The var as_of_date is '{day}', expected a calendar day as YYYY-MM-DD"
    assert expected in str(result.exception)


@pytest.mark.parametrize(
    "day", ["2024-02-29", "2000-02-29", "2025-12-31", "0001-01-01", "9999-12-31"]
)
def test_calendar_days_are_accepted(incident: Project, day: str) -> None:
    result = incident.dbt("parse", "--vars", json.dumps({"as_of_date": day}))
    assert result.success, result.exception


WRONG_VARS = {
    "salesforce_catalog: null": "is none, expected a name",
    '{salesforce_catalog: "crm\'; drop table t; --"}': "expected a name of letters, digits",
    "salesforce_deleted_column: 'a, b'": "expected a column name of letters, digits and _, or none",
    "{recent_days: '7'}": "The var recent_days is '7', expected a whole number from 0",
    "recent_days: -1": "expected a whole number from 0",
    "backfill_batch_size: 0": "The var backfill_batch_size is 0, expected a whole number from 1",
    "backfill_batch_size: true": "is true, expected a whole number",
    "guard_min_match_share: 1.01": "is 1.01, expected a number from 0 to 1",
    "guard_max_disable_share: -0.1": "is -0.1, expected a number from 0 to 1",
    "sync_max_rows: 0": "is 0, expected a whole number from 1 to 100000000, or null",
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


def test_seeds_name_no_person_and_no_address() -> None:
    """Every property's name is made of the generator's words, and nobody wrote an address there."""
    generator = (ROOT / "scripts" / "generate_seeds.py").read_text()
    words = re.search(r"\nSPECIAL_NAMES.*?\n\nCell = ", generator, re.DOTALL)
    assert words
    assert not re.search(
        rf"{EMAIL}|\b(Mrs?|Ms|Dr|Street|St|Road|Rd|Avenue|Ave|\d{{3,}})\b", words[0]
    )
    with (ROOT / "seeds" / "properties.csv").open(encoding="utf-8", newline="") as file:
        names = {row["name"] for row in csv.DictReader(file)}
    unknown = {word for name in names for word in re.findall(r"\w+", name) if word not in words[0]}
    assert not unknown


def test_nothing_private_is_written(loop: Project) -> None:
    """Neither secrets of the environment nor rows, by models, a test that fails and the docs."""
    example = (ROOT / "profiles.yml.example").read_text()
    secrets = dict.fromkeys(re.findall(r"env_var\('(\w+)'", example), "dapi0123456789marker")
    assert len(secrets) > 4
    with mock.patch.dict(os.environ, secrets):
        assert loop.dbt("run", *INCIDENT).success, loop.output
        failed = failures(loop.dbt("test", "--select", PROOF, *INCIDENT))
        assert failed == {PROOF: 2815}
        assert loop.dbt("docs", "generate", "--static", *INCIDENT).success, loop.output
    assert "Got 2815 results" in (loop.path / "logs" / "dbt.log").read_text()
    assert not written(loop.path, "dapi0123456789marker", PROPERTIES, EMAIL)


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


@pytest.mark.slow
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


WORKSPACE = {"host": "https://example.com", "file_path": str(ROOT)}


def joined(base: Any, over: Any) -> Any:  # noqa: ANN401
    """Join a target's settings to the common ones, tasks by key, as the Databricks CLI does."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {
            key: joined(base[key], value) if key in base else value for key, value in over.items()
        }
    if isinstance(base, list) and isinstance(over, list):
        tasks = [{entry.get("task_key"): entry for entry in entries} for entries in (base, over)]
        if all("dbt_task" in entry for entry in base):
            return list(joined(*tasks).values())
        return base + over
    return over


def deployed_job(target: str) -> dict:
    """Return the job with the settings and variables of a target, as a deployment does."""
    values = {name: variable.get("default") for name, variable in BUNDLE["variables"].items()}
    values |= {"warehouse_id": "0123456789abcdef", "notified_on_failure": ["ops@example.com"]}
    values |= {"census_sync_id": "52", "census_node_type": "m5d.large"}
    values |= BUNDLE["targets"][target]["variables"]
    names = {f"var.{name}": value for name, value in values.items()}
    names |= {f"workspace.{name}": value for name, value in WORKSPACE.items()}

    def fill(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, dict):
            return {key: fill(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [fill(entry) for entry in value]
        if whole := re.fullmatch(r"\${([\w.]+)}", str(value)):
            return names[whole[1]]
        if isinstance(value, str):
            return re.sub(r"\${([\w.]+)}", lambda match: str(names.get(match[1], match[0])), value)
        return value

    over = BUNDLE["targets"][target].get("resources", {})
    return fill(joined(BUNDLE["resources"], over)["jobs"]["product_property_sync"])


def in_order(tasks: list[dict]) -> list[dict]:
    """Return the tasks in the only order in which their dependencies let them run."""
    waiting, done = list(tasks), []
    while waiting:
        keys = {task["task_key"] for task in done}
        ready = [t for t in waiting if {d["task_key"] for d in t.get("depends_on", [])} <= keys]
        (task,) = ready
        done.append(task)
        waiting.remove(task)
    return done


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
    for task in in_order(deployed_job(target)["tasks"]):
        if "dbt_task" not in task:
            sequence.append(task["task_key"])
            continue
        for command in task["dbt_task"]["commands"]:
            program, *arguments = shlex.split(command)
            assert program == "dbt"
            parsed = parse_dbt(arguments)
            sequence.append(arguments[0])
            if arguments != ["deps"]:
                assert parsed["target"] in profile["outputs"]
                assert set(parsed["vars"]) == {"http_path", "dev_schema"}
    census = ["census"] if target == "prod" else []  # dev must not write to Salesforce
    assert sequence == ["deps", "source", "deps", "build", *census, "deps", "test"]


def test_the_census_task_of_the_job_can_run() -> None:
    job = deployed_job("prod")
    (task,) = [task for task in job["tasks"] if task["task_key"] == "census"]
    program = task["spark_python_task"]
    assert (ROOT / program["python_file"]).resolve() == Path(trigger_census_sync.__file__)
    assert all(isinstance(parameter, str) for parameter in program["parameters"])
    arguments = trigger_census_sync.make_parser().parse_args(program["parameters"])
    assert (arguments.sync_id, arguments.project_dir) == (52, ROOT)
    relation = ROOT / "models/marts/census" / f"{arguments.relation}.sql"
    assert relation.exists()
    (cluster,) = job["job_clusters"]
    assert cluster["job_cluster_key"] == task["job_cluster_key"]
    environment = cluster["new_cluster"]["spark_env_vars"]
    profile = yaml.safe_load((ROOT / "profiles.yml.example").read_text())["product_property_sync"]
    output = profile["outputs"][arguments.target]
    assert set(re.findall(r"env_var\('(\w+)'\)", str(output))) == set(environment) - {
        "CENSUS_API_KEY"
    }


def test_the_secrets_of_the_job_are_those_that_the_readme_creates() -> None:
    environment = deployed_job("prod")["job_clusters"][0]["new_cluster"]["spark_env_vars"]
    secrets = {
        name: re.fullmatch(r"{{secrets/([\w-]+)/([\w-]+)}}", value)
        for name, value in environment.items()
        if name not in ("DBT_HOST", "DBT_HTTP_PATH")
    }
    readme = (ROOT / "README.md").read_text()
    (scope,) = re.findall(r"^scope=(\S+)$", readme, re.M)
    created = re.findall(r"^databricks secrets put-secret \$scope (\S+)", readme, re.M)
    assert [(secret[1], secret[2]) for secret in secrets.values() if secret] == [
        (scope, key) for key in created
    ]
    assert all(secrets.values())


def test_the_census_task_installs_the_versions_that_the_other_tasks_have() -> None:
    job = deployed_job("prod")
    (task,) = [task for task in job["tasks"] if task["task_key"] == "census"]
    installed = [library["pypi"]["package"] for library in task["libraries"]]
    assert set(job["environments"][0]["spec"]["dependencies"]) < set(installed)
    required = (ROOT / "requirements.in").read_text()
    assert not [package for package in installed if f"{package}  #" not in required]


def test_the_deploy_command_of_the_readme_gives_the_variables_without_a_default() -> None:
    readme = (ROOT / "README.md").read_text()
    needed = {name for name, variable in BUNDLE["variables"].items() if "default" not in variable}
    assert set(re.findall(r"--var (\w+)=", readme)) == needed


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
