"""The production job: a bundle that Databricks accepts, and commands that do their work."""

import re
import shlex
from collections import Counter
from typing import Any

import census
import click
import pytest
import yaml
from conftest import (
    INCIDENT,
    PROOF,
    ROOT,
    SOURCE_TABLES,
    Databricks,
    Project,
    failures,
    simulate_sync,
)
from databricks.bundles.jobs import Job
from dbt.cli.main import cli

BUNDLE = yaml.safe_load((ROOT / "databricks.yml").read_text())
PRODUCTION = BUNDLE["targets"]["prod"]
# What the command line knows of a deployment. workspace.host is not in it: unless the bundle sets
# it, it resolves to nothing.
KNOWN = {
    "bundle.name": BUNDLE["bundle"]["name"],
    "bundle.target": "prod",
    "workspace.current_user.short_name": "someone",
    "workspace.file_path": str(ROOT),
}
NOTIFIED = {"notified_emails": ["ops@example.com"], "notified_destinations": [{"id": "webhook"}]}
GIVEN = {"warehouse_id": "0123456789abcdef", "service_principal": "0a1b", "census_sync_id": "52"}


def joined(base: Any, over: Any) -> Any:  # noqa: ANN401
    """Join a target's settings to the common ones, tasks by key, as the Databricks CLI does."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {
            key: joined(base[key], value) if key in base else value for key, value in over.items()
        }
    if isinstance(base, list) and isinstance(over, list):
        for name in ("task_key", "environment_key"):
            if all(name in entry for entry in [*base, *over]):
                both = [{entry[name]: entry for entry in entries} for entries in (base, over)]
                return list(joined(*both).values())
        return base + over
    return over


def resolved(value: Any, names: dict[str, Any]) -> Any:  # noqa: ANN401
    """Put the values of references in their place; KeyError for one that has none."""
    if isinstance(value, dict):
        return {key: resolved(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [resolved(entry, names) for entry in value]
    if whole := re.fullmatch(r"\${([\w.]+)}", str(value)):
        return resolved(names[whole[1]], names)
    if isinstance(value, str):
        return re.sub(r"\${([\w.]+)}", lambda match: str(names[match[1]]), value)
    return value


def deployed(target: str) -> dict[str, Any]:
    """Return a target as a deployment sees it, with the job under `job`."""
    over = BUNDLE["targets"][target]
    values = {name: variable.get("default") for name, variable in BUNDLE["variables"].items()}
    values |= GIVEN | NOTIFIED | over["variables"]
    names = KNOWN | {f"var.{name}": value for name, value in values.items()}
    job = joined(BUNDLE["resources"], over.get("resources", {}))["jobs"]["product_property_sync"]
    return resolved(over | {"job": job}, names)


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


def parse_dbt(arguments: list[str]) -> dict:
    """Parse a dbt command line without running it; unknown options are errors."""
    context = cli.make_context("dbt", list(arguments))
    command, rest = cli, [*context._protected_args, *context.args]
    while isinstance(command, click.Group):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
    return context.params


def commands(target: str) -> list[list[str]]:
    """Return the commands of the job as words, in their order; Census is one of them."""
    found = []
    for task in in_order(deployed(target)["job"]["tasks"]):
        program = task.get("spark_python_task")
        found += (
            [[program["python_file"], *program["parameters"]]]
            if program
            else map(shlex.split, task["dbt_task"]["commands"])
        )
    return found


@pytest.mark.parametrize("target", BUNDLE["targets"])
def test_databricks_knows_every_key_of_the_job(target: str) -> None:
    assert len(BUNDLE["resources"]["jobs"]) == 1
    job = deployed(target)["job"]
    assert Job.from_dict(job).as_dict() == job


def test_every_reference_has_a_value_and_every_variable_a_use() -> None:
    text = (ROOT / "databricks.yml").read_text()
    references = set(re.findall(r"\${([\w.]+)}", text))
    variables = {f"var.{name}" for name in BUNDLE["variables"]}
    assert references <= variables | KNOWN.keys()
    assert variables <= references


def test_production_is_one_identity_in_one_place() -> None:
    """Without a root path the command line refuses a production target; only dev is paused."""
    target = deployed("prod")
    assert target["mode"] == "production"
    assert target["run_as"] == {"service_principal_name": "0a1b"}
    path = target["workspace"]["root_path"]
    assert path == "/Workspace/Users/0a1b/.bundle/product-property-sync/prod"
    assert target["job"]["schedule"]["pause_status"] == "UNPAUSED"
    assert BUNDLE["targets"]["dev"]["mode"] == "development"
    assert BUNDLE["targets"]["dev"]["presets"] == {"trigger_pause_status": "PAUSED"}


def test_three_serverless_tasks_with_deliberate_retries() -> None:
    job = deployed("prod")["job"]
    tasks = {task["task_key"]: task for task in in_order(job["tasks"])}
    assert list(tasks) == ["build", "census", "verify"]
    assert [task["max_retries"] for task in tasks.values()] == [1, 0, 4]
    environments = {one["environment_key"]: one["spec"] for one in job["environments"]}
    for task in tasks.values():
        assert task["disable_auto_optimization"]
        assert task["environment_key"] in environments
    assert "job_clusters" not in job
    required = (ROOT / "requirements.in").read_text()
    installed = [package for spec in environments.values() for package in spec["dependencies"]]
    assert not [package for package in installed if f"{package}  #" not in required]


@pytest.mark.parametrize("target", BUNDLE["targets"])
def test_every_command_of_the_job_parses(target: str) -> None:
    profile = yaml.safe_load((ROOT / "profiles.yml.example").read_text())["product_property_sync"]
    sequence = []
    for program, *arguments in commands(target):
        sequence.append(arguments[0])
        if program != "dbt":
            continue
        parsed = parse_dbt(arguments)
        assert parsed["target"] in profile["outputs"]
        assert set(parsed["vars"]) == {"http_path", "dev_schema"}
    census_and_proof = ["sync", "test"] if target == "prod" else []
    assert sequence == ["source", "build", *census_and_proof]


def test_the_census_task_can_run() -> None:
    ((program, *arguments),) = [words for words in commands("prod") if words[0] != "dbt"]
    assert (ROOT / program).resolve() == (ROOT / "scripts" / "census.py")
    parsed = census.parse(arguments)
    assert (parsed.sync_id, parsed.check) == (52, "")
    assert (parsed.secret_scope, parsed.secret_key) == ("product-property-sync", "census-api-key")
    page = (ROOT / "docs" / "operations.md").read_text()
    scope, key = re.search(r"databricks secrets put-secret (\S+) (\S+)", page).groups()
    assert (scope, key) == (parsed.secret_scope, parsed.secret_key)


def test_the_documented_deployment_gives_the_variables_that_production_needs() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"--var (\w+)=", page)) == set(GIVEN)


def test_a_replica_whose_newest_row_is_30_days_old_goes_through_the_job(loop: Project) -> None:
    """On quiet days no row is written, and what differs must be synced all the same."""
    age = "interval 30 day"
    loop.query(
        f"update {SOURCE_TABLES['product_property_c']} set _fivetran_synced = current_date - {age}"
    )
    proof = None
    for program, *words in commands("prod"):
        if program != "dbt":
            assert simulate_sync(loop, "relation: product_property_feature_sync")
            continue
        proof = loop.dbt(*words[: words.index("--target")], *INCIDENT)
        assert proof.success, loop.output
    assert [run.node.name for run in proof.result if run.node.resource_type == "test"] == [PROOF]


def test_an_hour_of_the_databricks_job_sends_few_statements(databricks: Databricks) -> None:
    """Each is a round trip to a warehouse that is billed by time."""
    sent: Counter[str] = Counter()
    for program, *words in commands("prod"):
        if program == "dbt":
            result = databricks.dbt(*words[: words.index("--target")], *INCIDENT)
            assert result.success or failures(result) == {PROOF: 2815}
            kinds = (sql.split()[0].lower() for sql in databricks.sent(""))
            sent.update(f"{words[0]} {kind}" for kind in kinds)
    print(sent.total(), sent)
    assert sent.total() <= 130
