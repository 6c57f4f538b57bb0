"""Files that must agree with each other, and the set-up with and without make."""

import contextlib
import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import generate_seeds
import pytest
import yaml
from dbt.adapters.databricks.credentials import DatabricksCredentials
from dbt.cli.main import dbtRunner
from engines import EMAIL, INCIDENT, ROOT, Project, copy_of, failures
from jinja2 import Template
from mapping import PRODUCTS, Product
from source_tables import SEED_TYPES, SOURCE_TABLES

WRONG_VARS = {
    'salesforce_catalog: "crm\'; drop table t; --"': "expected a name of letters, digits, _ and -",
    "salesforce_schema: null": "expected a name",
    "salesforce_deleted_column: 'a, b'": "expected a column name of letters, digits and _, or none",
    "as_of_date: '2025-11-31'": "expected a calendar day as YYYY-MM-DD",
    "recent_days: '7'": "expected a whole number of days from 0",
    "backfill_batch_size: true": "expected a whole number from 1",
    "sync_max_rows: 0": "expected a whole number from 1 to 99999999, or null",
    "compare_feature_dates: 'false'": "expected true or false",
    "feature_date_type: datetime": "expected date or timestamp",
    "guard_min_match_share: 1.01": "expected a number from 0 to 1",
    "guard_max_create_share: -0.1": "expected a number from 0 to 1",
    "guard_min_switch_offs: 1.5": "expected a whole number from 0",
    "guard_max_age_hours: 0": "expected a whole number of hours from 1",
    "census_principal: a`b": "expected a user, group or service principal",
    "approved_updates: many": "expected a whole number from 1",
    "salesforce_catalogue: crm": "docs/configuration.md lists them",
}


def test_all_that_is_wrong_with_vars_is_said_before_any_sql_runs(loop: Project) -> None:
    """An approval in dbt_project.yml would be one for good."""
    settings = loop.path / "dbt_project.yml"
    text = settings.read_text()
    settings.write_text(text.replace("approved_creations: null", "approved_creations: 9"))
    (loop.path / "warehouse" / "crm.duckdb").unlink()
    said = str(loop.dbt("build", "--vars", "\n".join(WRONG_VARS)).exception)
    for variable, expected in WRONG_VARS.items():
        name = variable.partition(":")[0]
        assert re.search(rf" var {name}\b.*{re.escape(expected)}", said), name
    assert "approved_creations is for one build" in said
    assert not (loop.path / "warehouse" / "crm.duckdb").exists()


def test_every_var_is_checked_and_documented() -> None:
    names = set(yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"])
    macros = "".join((ROOT / f"macros/{name}.sql").read_text() for name in ("check_vars", "guard"))
    assert names <= set(re.findall(r'"(\w+)"', macros))
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert names == set(re.findall(r"^\| `(\w+)` \|", page, re.M))


def test_a_seed_that_is_cut_off_or_has_other_columns(loop: Project) -> None:
    """At the end of a line, where the file is still good CSV: the table stays as it was."""
    seed = loop.path / "seeds" / "product_property_c.csv"
    whole = seed.read_bytes()
    cut_off = whole[: whole.index(b"\n", 10**6) + 1]
    seed.write_bytes(cut_off)
    properties = SOURCE_TABLES["properties"]
    named = loop.count(properties, "name is not null")
    loop.query(f"alter table {properties} drop column name")  # of an older version
    result = loop.dbt("seed", *INCIDENT)
    assert list(failures(result)) == [seed.stem]
    rows = cut_off.count(b"\n") - 1
    assert f"product_property_c.csv has {rows} rows, expected 17102. Restore" in loop.output
    assert loop.count(SOURCE_TABLES[seed.stem]) == 17102
    assert loop.count(properties, "name is not null") == named > 0


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


def test_the_lock_file_names_no_host() -> None:
    assert "://" not in (ROOT / "requirements.txt").read_text()


@pytest.mark.slow
def test_the_commands_of_the_set_up_work_without_make(tmp_path: Path) -> None:
    """All but the virtual environment, which the tests run in."""
    project = copy_of(ROOT, tmp_path / "project").path
    for leftover in ("profiles.yml", "target", "warehouse/crm.duckdb"):
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


@pytest.mark.parametrize("python", ["(3, 10)", "(3, 14)"])
def test_a_python_that_does_not_fit_is_refused_in_one_sentence(tmp_path: Path, python: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    other = tmp_path / "python"
    pretend = f"import sys; sys.version_info = {python}; $2"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{pretend}"\n')
    other.chmod(0o755)
    command = ["make", "--no-print-directory", "setup", f"PYTHON={other}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    sentence = "Python 3.11, 3.12 or 3.13 with venv is needed: make PYTHON=/path/to/python3.13\n"
    assert done.stdout == sentence
    assert not (tmp_path / ".venv").exists()


@pytest.mark.slow
def test_a_first_build_prints_the_verdict_and_the_table(
    empty_project: Project, tmp_path: Path
) -> None:
    project = copy_of(empty_project.path, tmp_path / "project").path
    (project / ".venv").symlink_to(sys.prefix)
    is_set_up = ("--old-file=.venv/.installed", "--old-file=dbt_packages/.installed")
    command = ["make", "--no-print-directory", *is_set_up, "build"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    loading, verdict, *table, commands = done.stdout.splitlines()
    assert loading.startswith("Loading the day of the incident")
    assert verdict.startswith("The guard is open. 2,815 of 17,102 Salesforce records differ")
    assert re.search(r"\ball\W+All products\W+17,?102\b.*\b2,?815\b", "\n".join(table))
    assert len(table) <= 12
    assert commands.startswith("make summary ")
    assert done.stderr == ""


def test_dbt_finds_the_warehouse_from_another_folder(
    incident: Project, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The summary begins with the totals, followed by the worst products of the day."""
    folders = {"DBT_PROJECT_DIR": str(incident.path), "DBT_PROFILES_DIR": str(incident.path)}
    show = ["run-operation", "show_feature_sync_summary", "--target-path", str(tmp_path)]
    with contextlib.chdir(tmp_path), mock.patch.dict(os.environ, folders):
        assert dbtRunner().invoke(["--quiet", "--log-path", str(tmp_path), *show]).success
    shown = capsys.readouterr().out
    assert re.match(r"As of 2025-11-21, built \d{4}-\d\d-\d\d \d\d:\d\d UTC", shown)
    _, *rows = re.findall(r"^\| (\w+) +\| ([\w ]+?) +\|", shown, re.M)
    assert rows[:3] == [(cohort, "All products") for cohort in ("as_of_date", "before", "all")]
    assert rows[3:5] == [("as_of_date", "Fraud Detection"), ("as_of_date", "Income Verification")]
    assert (len(rows), rows[-1][0]) == (24, "all")


@pytest.mark.parametrize("program", [*(ROOT / "scripts").glob("*.py")], ids=lambda path: path.stem)
def test_programs_survive_any_terminal_and_import_no_other_program(program: Path) -> None:
    text = program.read_text()
    others = {path.stem for path in (ROOT / "scripts").glob("*.py")} - {"dbt_reader", "mapping"}
    assert not others & set(re.findall(r"^ *(?:from|import) (\w+)", text, re.M))
    if "argv" in text:
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        command = [sys.executable, program, "--help"]
        subprocess.run(command, env=environment, check=True, capture_output=True)


@pytest.mark.parametrize("target", ["prod", "job", "dev"])
def test_databricks_targets_are_complete(target: str) -> None:
    """The adapter accepts each, and none can land in hive_metastore for want of a catalog."""
    profile = Template((ROOT / "profiles.yml.example").read_text())
    rendered = profile.render(env_var=lambda *_: "dbt_someone", var=lambda *_: "dbt_someone")
    output = yaml.safe_load(rendered)["product_property_sync"]["outputs"][target]
    assert output.pop("type") == "databricks"
    assert output.pop("threads") > 1
    settings = DatabricksCredentials.translate_aliases(output)
    DatabricksCredentials.validate(settings)
    credentials = DatabricksCredentials.from_dict(settings)
    assert credentials.database == "crm"
    assert credentials.schema == ("dbt_someone" if target == "dev" else "sfdc_dbx")
