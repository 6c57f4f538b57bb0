"""The production job: a bundle that Databricks accepts, and commands that do their work."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import census
import click
import databricks_cli
import pytest
import yaml
from census_server import STARTED, run, serve
from databricks.bundles.jobs import Job
from databricks_cli import RefusedError
from dbt.cli.main import cli
from engines import INCIDENT, PROOF, ROOT, Databricks, Project, copy_of, failures, offered
from source_tables import SOURCE_TABLES, load_seed

SALESFORCE = SOURCE_TABLES["product_property_c"]
BUNDLE = yaml.safe_load((ROOT / "databricks.yml").read_text())
PAGE = (ROOT / "docs" / "operations.md").read_text()
GIVEN = {
    "warehouse_id": "0123456789abcdef",
    "service_principal": "0a1b",
    "job_managers": "operators",
    "census_sync_id": "52",
}
NOTIFIED = {"notified_emails": ["ops@example.com"], "notified_destinations": [{"id": "webhook"}]}
LOCKED = dict(
    re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
)


def deployed(target: str) -> dict[str, Any]:
    """Return a target as a deployment sees it, with the job under `job`."""
    given = GIVEN if target == "prod" else {"warehouse_id": GIVEN["warehouse_id"]}
    return databricks_cli.deployed(BUNDLE, target, given | NOTIFIED)


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
    """Return the commands of the job as words; Census is one of them."""
    found = []
    for task in deployed(target)["job"]["tasks"]:
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


def test_every_variable_is_used_and_those_of_a_deployment_must_be_given() -> None:
    text = (ROOT / "databricks.yml").read_text()
    references = set(re.findall(r"\${([\w.]+)}", text))
    variables = {f"var.{name}" for name in BUNDLE["variables"]}
    assert variables <= references <= variables | databricks_cli.KNOWN.keys()
    required = {name for name, one in BUNDLE["variables"].items() if "default" not in one}
    assert required == set(GIVEN) == set(re.findall(r"BUNDLE_VAR_(\w+)", PAGE))
    for name in GIVEN:
        with pytest.raises(RefusedError, match=name):
            databricks_cli.deployed(BUNDLE, "prod", {k: v for k, v in GIVEN.items() if k != name})
    with pytest.raises(RefusedError, match="parameters"):
        databricks_cli.deployed(BUNDLE, "prod", GIVEN | {"census_sync_id": ""})


def test_production_is_one_identity_in_one_place_that_people_may_pause() -> None:
    target = deployed("prod")
    assert BUNDLE["bundle"]["databricks_cli_version"] == ">=1.3.0"
    assert target["mode"] == "production"
    assert target["run_as"] == {"service_principal_name": "0a1b"}
    path = target["workspace"]["root_path"]
    assert path == "/Workspace/Users/0a1b/.bundle/product-property-sync/prod"
    assert target["job"]["permissions"] == [
        {"group_name": "operators", "level": "CAN_MANAGE"},
        {"group_name": "users", "level": "CAN_VIEW"},
    ]
    # A pause_status would win over the mode: without one the CLI pauses development only.
    assert BUNDLE["targets"]["dev"]["mode"] == "development"
    assert "pause_status" not in (ROOT / "databricks.yml").read_text()


def test_four_serverless_tasks_with_deliberate_retries_and_time_limits() -> None:
    job = deployed("prod")["job"]
    tasks = {task["task_key"]: task for task in job["tasks"]}
    before = {key: [d["task_key"] for d in t.get("depends_on", [])] for key, t in tasks.items()}
    assert before == {"build": [], "freshness": [], "census": ["build"], "verify": ["census"]}
    retries = {"build": 1, "freshness": 0, "census": 0, "verify": 4}
    assert {key: task["max_retries"] for key, task in tasks.items()} == retries
    assert all(0 < task["timeout_seconds"] <= job["timeout_seconds"] for task in tasks.values())
    assert all(task["disable_auto_optimization"] for task in tasks.values())
    minutes = census.parse(["sync", "--sync-id", "52"]).timeout_minutes
    assert tasks["census"]["timeout_seconds"] > minutes * 60 + 2 * census.Waiting().request / 3
    assert (job["queue"], job["max_concurrent_runs"]) == ({"enabled": False}, 1)
    assert "job_clusters" not in job


@pytest.mark.parametrize("target", BUNDLE["targets"])
def test_the_job_installs_the_tested_versions_and_nothing_from_the_package_hub(target: str) -> None:
    environments = [one["spec"]["dependencies"] for one in deployed(target)["job"]["environments"]]
    installed = dict(package.split("==") for packages in environments for package in packages)
    assert installed == {name: LOCKED[name] for name in installed}
    assert {"dbt-core", "dbt-databricks", "dbt-adapters", "dbt-common"} <= installed.keys()
    assert not [words for words in commands(target) if words[:2] == ["dbt", "deps"]]
    # Without the seeds, dbt would warn of their settings in every task.
    assert BUNDLE["sync"] == {
        "include": ["profiles.yml", "dbt_packages"],
        "exclude": ["tests/python"],
    }
    assert (ROOT / "dbt_packages" / "dbt_utils" / "dbt_project.yml").exists()


def test_ci_tests_the_pythons_on_both_sides_of_the_jobs() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert yaml.safe_load(text)["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    # GitHub's runners have no Node 20 any more, which the majors before these need.
    majors = re.findall(r"uses: actions/[\w-]+@v(\d+)", text)
    assert [int(major) >= 6 for major in majors] == [True, True]


@pytest.mark.parametrize("target", BUNDLE["targets"])
def test_every_command_of_the_job_parses(target: str) -> None:
    profile = yaml.safe_load((ROOT / "profiles.yml.example").read_text())["product_property_sync"]
    sequence = []
    for program, *arguments in commands(target):
        sequence.append(arguments[0])
        if program == "dbt":
            parsed = parse_dbt(arguments)
            assert parsed["target"] in profile["outputs"]
            assert set(parsed["vars"]) == {"http_path", "dev_schema"}
    assert sequence == ["build", "source", *(["sync", "test"] if target == "prod" else [])]


def test_the_census_task_can_run() -> None:
    ((program, *arguments),) = [words for words in commands("prod") if words[0] != "dbt"]
    assert (ROOT / program).resolve() == (ROOT / "scripts" / "census.py")
    parsed = census.parse(arguments)
    assert (parsed.sync_id, parsed.api_url) == (52, census.API_URL)
    agreed = Path(parsed.check).relative_to(databricks_cli.KNOWN["workspace.file_path"])
    assert (ROOT / agreed).exists()
    scope, key = re.search(r"databricks secrets put-secret (\S+) (\S+)", PAGE).groups()
    assert (parsed.secret_scope, parsed.secret_key) == (scope, key)


# Stands in for a command of the page: records its words, and does the part that the page needs.
STUB = """#!/bin/bash
case {name} in curl | python) cat > /dev/null ;; esac
printf '%s\\0' {name} "$@" $'\\n' >> log
case {name} in
    databricks) exec {python} {cli} "$@" ;;
    dbt) echo '"reverse_etl_id_c": "prop_1"' ;;
esac
"""
# After the real client has triggered a sync, what Census would do. diff is tested elsewhere.
REAL_PYTHON = """#!/bin/bash
[ "$1 $2" != "scripts/census.py diff" ] || exec cat
{python} "$@" || exit
[ "$1 $2" != "scripts/census.py sync" ] || dbt --quiet run-operation simulate_census_sync \\
    --target prod --args '{{relation: product_property_feature_sync}}'
"""


def typed(folder: Path, page: str = PAGE, **stubs: str) -> subprocess.CompletedProcess:
    """Type the page's commands from top to bottom in a folder, with stand-ins for some programs."""
    shutil.rmtree(folder / "bin", ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    for name, stub in stubs.items():
        text = stub.format(name=name, python=sys.executable, cli=databricks_cli.__file__)
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(re.findall(r"```bash\n(.*?)```", page, re.S))],
        cwd=folder,
        env={"HOME": str(folder), "NO_PROXY": "127.0.0.1", **os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_the_page_can_be_typed_from_top_to_bottom(tmp_path: Path) -> None:
    """With a `databricks` stub that refuses the commands the CLI would refuse."""
    page = copy_of(ROOT, tmp_path / "page").path
    (page / "output").mkdir(exist_ok=True)
    stubs = dict.fromkeys(("databricks", "dbt", "curl", "python"), STUB)
    run = typed(page, **stubs)
    assert run.returncode == 0, run.stderr
    words = [command.split("\0") for command in (page / "log").read_text().split("\0\n\0")[:-1]]
    steps = []
    for program, *arguments in words:
        if program == "dbt":
            parsed = parse_dbt(arguments)
            assert parsed["target"] == "prod"
            steps.append(parsed.get("macro") or next(a for a in arguments if a[0] != "-"))
            steps[-1] += f" {parsed['vars']}" if parsed.get("vars") else ""
            steps[-1] += " census" if "census_principal" in (parsed.get("args") or {}) else ""
        elif program == "python":
            if arguments[0] == "scripts/census.py":
                census.parse(arguments[1:])
            steps.append(" ".join(arguments[:2]))
        else:
            steps.append(f"{program} {arguments[0]}" if program == "databricks" else program)
    wave = ["build {'sync_max_rows': 50}", "show"]
    assert steps == [
        *("print_grants", "find_salesforce_table", "check_sources"),
        *("build", "show_feature_sync_summary", "scripts/report.py --target"),
        *("print_grants census", "census_sync_config", "curl", "curl", "scripts/census.py diff"),
        *(*wave, "scripts/census.py sync", *wave),
        *("build", "scripts/census.py sync", "test"),
        *("census_sync_config", "scripts/census.py diff"),
        *("databricks auth", *["databricks secrets"] * 3, *["databricks bundle"] * 2),
    ]
    deployment = PAGE[PAGE.index("### 8. Deploy the job") :]
    run = typed(page, deployment.replace("run product_property_sync", "run other"), **stubs)
    assert (run.returncode, "there is no job other" in run.stderr) == (1, True)


@pytest.mark.slow
def test_the_page_leads_to_the_first_verified_sync(
    loop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the target prod on DuckDB; the bundle and Census are stand-ins."""
    profile = (loop.path / "profiles.yml.example").read_text()
    profile = profile.replace("    prod:", "    other:").replace("    duckdb:", "    prod:")
    (loop.path / "profiles.yml.example").write_text(profile)
    with contextlib.contextmanager(serve)() as server:
        server.records = {}
        server.answers = [run()]
        server.faults = {"trigger?force_full_sync=true": [STARTED] * 2}
        monkeypatch.setenv("CENSUS_API_URL", server.url)
        monkeypatch.setenv("DBT_EXCLUDE_RESOURCE_TYPES", "unit_test")
        page = PAGE.replace("CENSUS_API_KEY=…", "CENSUS_API_KEY=secret-token:1")
        ended = typed(loop.path, page, python=REAL_PYTHON, databricks=STUB, curl=STUB)
    assert ended.returncode == 0, (ended.stdout[-3000:], ended.stderr)
    assert len((loop.path / "output" / "first_50.txt").read_text().splitlines()) == 50
    assert "All 50 have arrived." in ended.stdout
    assert offered(loop)["product_property_feature_sync"] == 0


def test_an_hour_of_the_databricks_job_sends_few_statements(databricks: Databricks) -> None:
    """Each is a round trip that is billed. A replica that is 30 days old is synced all the same."""
    sent: Counter[str] = Counter()
    databricks.query(f"update {SALESFORCE} set _fivetran_synced = current_date - interval 30 day")
    for program, *words in commands("prod"):
        if program == "dbt":
            result = databricks.dbt(*words[: words.index("--target")], *INCIDENT)
            kinds = (sql.split()[0].lower() for sql in databricks.sent(""))
            sent.update(f"{words[0]} {kind}" for kind in kinds)
            assert result.success or words[0] == "test"
            if words[0] == "source":
                features = "product_property_w_features"
                (found,) = [run for run in result.result if run.node.name == features]
                assert str(found.max_loaded_at)[:16] == "2025-11-21 21:38"
            assert offered(databricks)["product_property_feature_sync"] == 2815
    load_seed(databricks, "product_property_c")
    assert failures(result) == {PROOF: 2815}
    assert [run.node.name for run in result.result if run.node.resource_type == "test"] == [PROOF]
    assert sent.total() <= 152, sent
