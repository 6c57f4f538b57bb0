"""What must not drift apart, and how the project behaves when it is used without make."""

import contextlib
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from unittest import mock

import generate_seeds
import pytest
import yaml
from conftest import (
    CENSUS_RELATIONS,
    EMAIL,
    INCIDENT,
    PROOF,
    PROPERTIES,
    ROOT,
    SEED_TYPES,
    SOURCE_TABLES,
    Project,
    copy_of,
    failures,
    written,
)
from dbt.cli.main import dbtRunner
from mapping import PRODUCTS, Product
from oracle import CENSUS_COLUMNS


def manifest(project: Project, *arguments: str) -> dict:
    """Parse the project with some dbt arguments and return its manifest."""
    assert project.dbt("parse", "--write-json", *arguments).success, project.output
    return json.loads((project.path / "target" / "manifest.json").read_text())


def profile_variables() -> set[str]:
    """Return the environment variables of the profile but for the project's folder."""
    text = (ROOT / "profiles.yml.example").read_text()
    return {*re.findall(r"env_var\('(\w+)'", text)} - {"DBT_PROJECT_DIR"}


@pytest.mark.parametrize("relation", CENSUS_RELATIONS)
def test_mapping_contract_and_document_agree(incident: Project, relation: str) -> None:
    contract = manifest(incident)["nodes"][f"model.product_property_sync.{relation}"]
    assert contract["config"]["contract"]["enforced"]
    extra = {CENSUS_RELATIONS[2]: ["batch_number"], CENSUS_RELATIONS[3]: ["name"]}.get(relation, [])
    documented = [*CENSUS_COLUMNS, *extra]
    assert list(contract["columns"]) == documented
    built = incident.query(f"describe crm.sfdc_dbx.{relation}")
    assert [name for name, *_ in built] == documented
    assert incident.dbt("--quiet", "compile", "--inline", "{{ census_columns() | join(' ') }}")
    assert incident.messages[-1].split() == [*CENSUS_COLUMNS]


def test_every_feature_column_is_mapped(incident: Project) -> None:
    """A column that the features table has and the mapping lacks would be a forgotten product."""
    assert incident.dbt("--quiet", "compile", "--inline", "{{ feature_columns() | join(' ') }}")
    mapped = ["property_id", *incident.messages[-1].split()]
    columns = incident.query("describe crm.sfdc_dbx.product_property_w_features")
    assert mapped == [name for name, *_ in columns]


def test_only_calendar_days_are_accepted(macros: Project) -> None:
    right = "2024-02-29 2000-02-29 2025-12-31 0001-01-01 9999-12-31".split()
    wrong = "2025-13-01 2025-02-29 1900-02-29 2025-00-10 0000-01-01 21.11.2025".split()
    days = [*right, *wrong, "2025-11-21' or 1"]
    accepted = "{% for day in " + str(days) + " if is_calendar_day(day) %}{{ day }} {% endfor %}"
    assert macros.dbt("--quiet", "compile", "--inline", accepted).success, macros.output
    assert macros.messages[-1].split() == right


# Each is a run; what is wrong in a run is said all at once.
WRONG_VARS = [
    {
        "salesforce_catalog: null": "is none, expected a name",
        "salesforce_deleted_column: 'a, b'": (
            "expected a column name of letters, digits and _, or none"
        ),
        "recent_days: '7'": "The var recent_days is '7', expected a whole number from 0",
        "backfill_batch_size: 0": (
            "The var backfill_batch_size is 0, expected a whole number from 1 to 100000000."
        ),
        "guard_min_match_share: 1.01": "is 1.01, expected a number from 0 to 1",
        "guard_max_disable_share: -0.1": "is -0.1, expected a number from 0 to 1",
        "sync_max_rows: 0": "is 0, expected a whole number from 1 to 100000000, or null",
        "compare_feature_dates: 'false'": "is 'false', expected true or false",
        "census_principal: a`b": "expected a user, group or service principal",
        "production_targets: [duckdb, 3]": "expected a list of names",
        "feature_date_type: datetime": "expected date or timestamp",
        "salesforce_freshness_table: connector": "expected a table as catalog.schema.table",
        "salesforce_base_url: http://example.com": "expected an https address without a path",
        "allow_mass_create: 1": "expected true or false",
        "as_of_date: '2025-11-31'": (
            "The var as_of_date is '2025-11-31', expected a calendar day as YYYY-MM-DD"
        ),
        "own_vars: region": "The var own_vars is 'region', expected a list of names",
        "region: eu": "A var of your own must be listed in the var own_vars in dbt_project.yml",
    },
    {
        'salesforce_catalog: "crm\'; drop table t; --"': "expected a name of letters, digits",
        "recent_days: -1": "expected a whole number from 0",
        "backfill_batch_size: true": "is true, expected a whole number",
        "salesforce_catalogue: crm": (
            "There is no var salesforce_catalogue. Did you mean salesforce_catalog?"
        ),
    },
    {
        "recent_days: 36501": "expected a whole number from 0 to 36500",
        "recent_day: 7": "There is no var recent_day. Did you mean recent_days?",
        "compare_dates: true": (
            "There is no var compare_dates. Did you mean compare_feature_dates?"
        ),
    },
]


@pytest.mark.parametrize("variables", WRONG_VARS, ids=["first", "second", "third"])
def test_wrong_vars_say_what_is_expected(macros: Project, variables: dict[str, str]) -> None:
    result = macros.dbt("parse", "--vars", "\n".join(variables))
    said = str(result.exception).splitlines()
    for variable, expected in variables.items():
        name = variable.partition(":")[0]
        assert any(re.search(rf" var {name}\b", line) and expected in line for line in said), said


def test_every_var_is_checked_and_documented() -> None:
    names = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]
    checked = re.findall(r'^        "(\w+)": "', (ROOT / "macros/check_vars.sql").read_text(), re.M)
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert set(names) <= set(checked)
    assert set(names) == set(re.findall(r"`(\w+)`(?=[^|]*\|)", page)) & set(checked)


def test_vars_and_seeds_of_your_own_work(empty_project: Project, tmp_path: Path) -> None:
    """The lists of known names are for the project's own objects."""
    project = copy_of(empty_project.path, tmp_path / "project")
    settings = project.path / "dbt_project.yml"
    settings.write_text(settings.read_text().replace("own_vars: []", "own_vars: [region]"))
    (project.path / "seeds" / "regions.csv").write_text("region,country\neu,Norway\n")
    assert project.dbt("seed", "--vars", "region: eu").success, project.output
    only_own = ("--select", "regions", "--vars", "region: us")
    assert project.dbt("build", *only_own).success, project.output
    assert project.query("from crm.sfdc_dbx.regions") == [("eu", "Norway")]
    (project.path / "seeds" / "regions.csv").write_text("region,country\nus,Ohio\n")
    assert project.dbt("build", *only_own).success, project.output
    assert project.query("from crm.sfdc_dbx.regions") == [("us", "Ohio")]


def test_a_seed_that_is_cut_off_or_has_other_columns(
    empty_project: Project, tmp_path: Path
) -> None:
    """In the middle of a line, at its end or before the first: the table stays as it was."""
    project = copy_of(empty_project.path, tmp_path / "project")
    seed = project.path / "seeds" / "product_property_c.csv"
    load = ("seed", "--select", seed.stem)
    salesforce = SOURCE_TABLES[seed.stem]
    whole = seed.read_bytes()
    assert project.dbt(*load).success, project.output
    line_end = whole.index(b"\n", 10**6) + 1
    for content, message in {
        whole[: line_end - 20]: "CSV Error on Line",
        whole[: line_end + 1]: "CSV Error on Line",
        whole[:line_end]: "product_property_c.csv has 4431 rows, expected 17102. Restore the file",
        whole[: whole.index(b"\n") + 1]: "product_property_c.csv has 0 rows, expected 17102",
    }.items():
        seed.write_bytes(content)
        assert not project.dbt(*load).success
        assert message in project.output
        assert project.count(salesforce) == 17102
    seed.write_bytes(whole)
    project.query(f"alter table {salesforce} drop column name")  # of an older version
    assert project.dbt(*load).success, project.output
    assert project.count(salesforce, "name is not null") == 17102


def test_a_careless_target_is_refused_before_anything_is_written(
    macros: Project, tmp_path: Path
) -> None:
    project = copy_of(macros.path, tmp_path / "project")
    for folder in ("models", "warehouse"):
        shutil.rmtree(project.path / folder, ignore_errors=True)
        (project.path / folder).mkdir()
    (project.path / "models" / "any.sql").write_text("select 1")
    profile = project.path / "profiles.yml"
    names = ("sfdc_dbx", "SFDC_DBX")
    for production, schema in (*product(names, names), ("sfdc_dbx", "sfdc_dbx_staging")):
        profile.write_text(re.sub(r"\bschema: \w+", f"schema: {schema}", profile.read_text()))
        variables = f"{{production_targets: [prod], production_schema: {production}}}"
        result = project.dbt("build", "--vars", variables)
        refusal = f"Target 'duckdb' may not write to the production schema {schema}"
        assert refusal in str(result.exception)
    assert not list((project.path / "warehouse").iterdir())


def rows_of(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file by column name."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_seeds_are_what_the_generator_writes(tmp_path: Path) -> None:
    generate_seeds.write_seeds(tmp_path)
    generated = sorted(tmp_path.iterdir())
    assert [path.stem for path in generated] == ["_seeds", *sorted(SOURCE_TABLES)]
    for path in generated:
        is_same = path.read_bytes() == (ROOT / "seeds" / path.name).read_bytes()
        assert is_same, f"{path.name}: run `make seeds`"


def test_an_eighth_product_adds_its_columns_and_changes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = [f"new_product_{end}_c" for end in ("enabled", "start_date", "updated_date")]
    eighth = Product("New Product", "new_product", *fields)
    monkeypatch.setattr(generate_seeds, "PRODUCTS", (*PRODUCTS[:4], eighth, *PRODUCTS[4:]))
    generate_seeds.write_seeds(tmp_path)
    settings = yaml.safe_load((tmp_path / "_seeds.yml").read_text(encoding="utf-8"))
    types = {seed["name"]: seed["config"]["column_types"] for seed in settings["seeds"]}
    added = {
        "product_property_c": dict(zip(fields, ("boolean", "date", "date"), strict=True)),
        "product_property_w_features": dict.fromkeys(eighth.feature_columns, "timestamp")
        | {"new_product_enabled": "boolean"},
        "properties": {},
    }
    for seed, old_types in SEED_TYPES.items():
        assert types[seed] == old_types | added[seed]
        old, new = (rows_of(folder / f"{seed}.csv") for folder in (ROOT / "seeds", tmp_path))
        assert list(new[0]) == list(types[seed])
        kept = [{column: row[column] for column in old_types} for row in new]
        is_same = kept == old
        assert is_same, seed
        assert all(any(row[column] for row in new) for column in added[seed])


def test_seeds_name_no_person_and_no_address() -> None:
    """Every property's name is made of the generator's words, and nobody wrote an address there."""
    parts = ("SPECIAL_NAMES", "FIRST_WORDS", "KINDS", "ENDINGS")
    words = " ".join(word for part in parts for word in getattr(generate_seeds, part))
    assert not re.search(rf"{EMAIL}|\b(Mrs?|Ms|Dr|Street|St|Road|Rd|Avenue|Ave|\d{{3,}})\b", words)
    names = {row["name"] for row in rows_of(ROOT / "seeds" / "properties.csv")}
    unknown = {word for name in names for word in re.findall(r"\w+", name) if word not in words}
    assert not unknown


def test_nothing_private_is_written(loop: Project) -> None:
    """Neither secrets of the environment nor rows, by models, a test that fails and the docs."""
    secrets = dict.fromkeys(profile_variables(), "dapi0123456789marker")
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
def test_the_commands_of_the_set_up_work_without_make(tmp_path: Path) -> None:
    """All but the virtual environment, which the tests run in."""
    project = copy_of(ROOT, tmp_path / "project").path
    for leftover in ("profiles.yml", "dbt_packages", "target", "warehouse/crm.duckdb"):
        subprocess.run(["rm", "-rf", leftover], cwd=project, check=True)
    text = (ROOT / "CONTRIBUTING.md").read_text()
    block = re.search(r"## Set up\n.*?```bash\n(.*?)```", text, re.DOTALL)
    venv, pip, *commands = block[1].splitlines()
    assert "venv" in venv
    assert "requirements.txt" in pip
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-e", "-c", "\n".join(commands)],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    assert result.stdout.count("Completed successfully") == 2  # seed and build


def test_dbt_finds_the_warehouse_from_another_folder(incident: Project, tmp_path: Path) -> None:
    folders = {"DBT_PROJECT_DIR": str(incident.path), "DBT_PROFILES_DIR": str(incident.path)}
    show = ["run-operation", "show_feature_sync_summary", "--target-path", str(tmp_path)]
    with contextlib.chdir(tmp_path), mock.patch.dict(os.environ, folders):
        assert dbtRunner().invoke(["--quiet", "--log-path", str(tmp_path), *show]).success


@pytest.mark.parametrize("program", [*(ROOT / "scripts").glob("*.py")], ids=lambda path: path.stem)
def test_programs_survive_any_terminal_and_import_no_other_program(program: Path) -> None:
    text = program.read_text()
    others = {path.stem for path in (ROOT / "scripts").glob("*.py")} - {"dbt_reader", "mapping"}
    assert not others & set(re.findall(r"^ *(?:from|import) (\w+)", text, re.M))
    if "__main__" in text:
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        command = [sys.executable, program, "--help"]
        subprocess.run(command, env=environment, check=True, capture_output=True)


@pytest.mark.parametrize("target", ["prod", "job", "dev"])
def test_databricks_targets_are_complete(incident: Project, tmp_path: Path, target: str) -> None:
    """The adapter accepts each, and none can land in hive_metastore for want of a catalog."""
    project = copy_of(incident.path, tmp_path / "project")
    with mock.patch.dict(os.environ, dict.fromkeys(profile_variables(), "dbt_someone")):
        arguments = ("--target", target, "--vars", "http_path: sql/1")
        nodes = manifest(project, *arguments)["nodes"].values()
    models = [node for node in nodes if node["resource_type"] == "model"]
    assert {node["database"] for node in models} == {"crm"}
    schema = "dbt_someone" if target == "dev" else "sfdc_dbx"
    assert {node["schema"] for node in models} == {schema, f"{schema}_staging"}
