"""The backfill as files: complete, readable, whole or not at all, on both engines."""

import csv
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import export_feature_backfill as program
import pytest
from dbt_reader import Stop
from engines import ROOT, Engine, Project, run_program
from mapping import PRODUCTS

AT_BUILD = "crm.sfdc_dbx_staging.int_product_properties_at_build"
BACKFILL = "crm.sfdc_dbx.product_property_feature_backfill"


def export(engine: Engine, folder: Path, *more: str) -> int:
    """Run the program for a built project and return its exit code."""
    return run_program(program, engine, "--output-dir", str(folder), *more)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file under a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def read(path: Path) -> list[tuple]:
    """Read an export with Python's csv and turn the texts back into values."""
    values = {"": None, "true": True, "false": False}

    def value(text: str) -> object:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return date.fromisoformat(text)
        return datetime.fromisoformat(text[:-1]) if text.endswith("Z") else values.get(text, text)

    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    return [tuple(header), *(tuple(value(text) for text in row) for row in rows)]


def mart(engine: Engine) -> list[tuple]:
    """Return the backfill's rows without the batch number, in the order of the sync key."""
    rows = engine.query(f"select * from {BACKFILL} order by reverse_etl_id_c")
    return [tuple(row)[:-1] for row in rows]


def test_the_files_hold_the_backfill(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "feature_backfill"
    assert export(engine, folder) == 0
    header, *rows = read(folder / "feature_backfill_20251121.csv")
    keys = ("snappt_property_id_c", "reverse_etl_id_c")
    assert header == (*keys, *(name for each in PRODUCTS for name in each.salesforce_columns))
    assert rows == mart(engine)
    assert len(rows) == 1296

    batches = sorted((folder / "feature_backfill_batches").iterdir())
    assert len(batches) == 26
    assert batches[0].name == "feature_backfill_batch_001_records_1-50.csv"
    assert batches[-1].name == "feature_backfill_batch_026_records_1251-1296.csv"
    for number, batch in enumerate(batches):
        assert read(batch) == [header, *rows[50 * number : 50 * (number + 1)]]

    whole = (folder / "feature_backfill_20251121.csv").read_bytes()
    assert whole.count(b"\r\n") == whole.count(b"\n") == 1297


def test_odd_values_an_older_export_and_the_undo(loop: Project, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    flags = ", ".join(f"current_{product.flag} = null" for product in PRODUCTS)
    loop.query(f"update {AT_BUILD} set {flags}, current_vor_start_date_c = date '2025-01-02'")
    assert export(loop, folder, "--undo") == 0
    header, *rows = read(folder / "feature_backfill_20251121.csv")
    assert len(rows) == 1296
    for row in (dict(zip(header, row, strict=True)) for row in rows):
        assert {row[product.flag] for product in PRODUCTS} == {False}  # no empty checkbox
        assert row["vor_start_date_c"] == date(2025, 1, 2)

    variables = "as_of_date: 2025-11-20, backfill_batch_size: 20, feature_date_type: timestamp"
    larger = ("--vars", f"{{{variables}}}")
    assert loop.dbt("run", "--select", "product_property_feature_backfill", *larger).success
    odd = 'a "quoted", key\nof two lines, ü and שלום'
    loop.query(
        f"update {BACKFILL} set snappt_property_id_c = $odd${odd}$odd$,"
        " vor_start_date_c = timestamp '0001-01-01 00:00:00.000001'"
        f" where reverse_etl_id_c = (select min(reverse_etl_id_c) from {BACKFILL})"
    )
    assert export(loop, folder, "--vars", "{}") == 0  # of the day that was built
    names = sorted(contents(folder))
    assert names[0] == "feature_backfill_20251120.csv"
    assert names[-1].endswith(f"-{loop.count(BACKFILL)}.csv")
    assert len(names) == 1 + -(-loop.count(BACKFILL) // 20)
    assert not list(tmp_path.glob(".export-*"))
    _, *rows = read(folder / names[0])
    assert rows == mart(loop)
    assert rows[0][0] == odd
    text = (folder / names[0]).read_text(encoding="utf-8")
    assert '"a ""quoted"", key\nof two lines, ü and שלום"' in text
    assert "0001-01-01T00:00:00.000001Z" in text


@pytest.mark.parametrize("strange", ["notes.txt", "feature_backfill_batches/notes.txt", ".hidden"])
def test_a_folder_that_holds_something_else_is_left_alone(
    tmp_path: Path, strange: str, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / strange).parent.mkdir(exist_ok=True)
    (tmp_path / strange).write_text("mine")
    assert program.main(["--project-dir", str(ROOT), "--output-dir", str(tmp_path)]) == 1
    assert f"holds {strange}, which is not from an export" in capsys.readouterr().err
    assert contents(tmp_path) == {strange: b"mine"}


def test_an_export_that_cannot_be_moved_leaves_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "feature_backfill_20251120.csv").write_bytes(b"older")
    monkeypatch.setattr(program, "read_backfill", lambda *_: [])
    monkeypatch.setattr(program, "write_files", lambda *_: "nothing to move")
    assert program.main(["--project-dir", str(ROOT), "--output-dir", str(folder)]) == 1
    assert contents(tmp_path) == {"out/feature_backfill_20251120.csv": b"older"}


def test_a_backfill_that_nobody_should_send_is_not_exported(
    loop: Project, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def refusal() -> str:
        assert export(loop, tmp_path / "out") == 1
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    loop.query(f"update {AT_BUILD} set created_at = null where reverse_etl_id_c > 'prop_9'")
    assert "older than the last build of the comparison: run dbt build." in refusal()
    loop.query("update crm.sfdc_dbx.feature_sync_guard set is_tripped = true")
    assert "Nothing was exported. The guard is tripped" in refusal()
    loop.query("delete from crm.sfdc_dbx.feature_sync_guard")
    assert "Nothing was exported. The guard has no verdict" in refusal()


def test_a_backfill_that_is_empty_or_of_another_day_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guard = {"is_tripped": False, "asked_day": "2025-11-14"}
    other_day = "The backfill is for 2025-11-21. Build 2025-11-14 first"
    for day, sentence in {date(2025, 11, 21): other_day, None: "The backfill is empty, so"}.items():
        rows = [{"created_on": day}] * bool(day)
        monkeypatch.setattr(program, "read", lambda *_, rows=rows: [[guard], rows])
        with pytest.raises(Stop, match=sentence):
            program.read_backfill(lambda *_: {}, undo=False)


def test_whatever_dbt_throws_is_one_sentence(
    incident: Project, empty_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def sentence(project: Project, *more: str) -> str:
        assert export(project, tmp_path / "out", *more) == 2
        assert not list(tmp_path.iterdir())
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "Has dbt build run?" in sentence(empty_project)
    assert "cp profiles.yml.example" in sentence(incident, "--target", "nowhere")
    assert "There is no var nonsense." in sentence(incident, "--vars", "nonsense: 1")
    assert "nonsense" in sentence(incident, "--vars", "nonsense")
    file = incident.path / "warehouse" / "crm.duckdb"
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, file], **pipes) as holder:
        holder.stdout.readline()
        line = sentence(incident)
        holder.communicate(b"\n")
    assert line.startswith("Another program has the warehouse file open: wait until it ends")
    assert f"(PID {holder.pid})" in line
