"""The backfill as files: complete, readable, whole or not at all, on both engines."""

import csv
import re
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import export_feature_backfill as program
import pytest
from engines import ROOT, Databricks, Engine, Project, run_program
from mapping import PRODUCTS

BACKFILL = "crm.sfdc_dbx.product_property_feature_backfill"


def export(engine: Engine, folder: Path, *more: str) -> int:
    """Run the program for a built project and return its exit code."""
    return run_program(program, engine, "--output-dir", str(folder), *more)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def read(path: Path) -> list[tuple]:
    """Read an export with Python's csv and turn the texts back into values."""
    values = {"": None, "true": True, "false": False}

    def value(text: str) -> object:
        if text.endswith("Z"):
            return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return date.fromisoformat(text)
        return values.get(text, text)

    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    return [tuple(header), *(tuple(value(text) for text in row) for row in rows)]


def mart(engine: Engine) -> list[tuple]:
    """Return the backfill's rows in the order of the sync key, with times as naive UTC."""
    rows = engine.query(f"select * from {BACKFILL} order by reverse_etl_id_c")
    return [
        tuple(
            value.replace(tzinfo=None) if isinstance(value, datetime) else value
            for value in tuple(row)[:-1]  # the last is the batch number
        )
        for row in rows
    ]


def test_the_files_hold_the_backfill(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "feature_backfill"
    assert export(engine, folder) == 0
    header, *rows = read(folder / "feature_backfill_20251121.csv")
    described = engine.query(
        f"describe {'table ' if isinstance(engine, Databricks) else ''}{BACKFILL}"
    )
    assert header == tuple(name for name, *_ in described if name != "batch_number")
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
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for files in ("feature_backfill_20251121.csv", "feature_backfill_batches/*.csv"):
            # The type of a column cannot be found where all of it is empty.
            types = ", ".join(
                f"'{column}': '{'date' if column.endswith('_date_c') else 'varchar'}'"
                for column in header
                if not column.endswith("_enabled_c")
            )
            read_back = connection.execute(
                f"from read_csv('{folder}/{files}', types = {{{types}}}) order by reverse_etl_id_c"
            )
            assert read_back.fetchall() == rows


def test_values_that_need_care_are_written_as_rfc_4180_has_them(
    loop: Project, tmp_path: Path
) -> None:
    odd = 'a "quoted", key\nof two lines, ü and שלום'
    timestamps = ("--vars", "{as_of_date: 2025-11-21, feature_date_type: timestamp}")
    assert loop.dbt("run", "--select", "product_property_feature_backfill", *timestamps).success
    loop.query(f"delete from {BACKFILL} where batch_number > 1")
    loop.query(
        f"update {BACKFILL} set snappt_property_id_c = $odd$" + odd + "$odd$,"
        " vor_start_date_c = timestamp '0001-01-01 00:00:00.000001'"
        f" where reverse_etl_id_c = (select min(reverse_etl_id_c) from {BACKFILL})"
    )
    assert export(loop, tmp_path / "out") == 0
    _, *rows = read(tmp_path / "out" / "feature_backfill_20251121.csv")
    assert rows == mart(loop)
    assert rows[0][0] == odd
    text = (tmp_path / "out" / "feature_backfill_20251121.csv").read_text(encoding="utf-8")
    assert '"a ""quoted"", key\nof two lines, ü and שלום"' in text
    assert "0001-01-01T00:00:00.000001Z" in text


def test_an_older_export_is_replaced_whole(loop: Project, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert export(loop, folder) == 0
    larger = ("--vars", "{as_of_date: 2025-11-20, backfill_batch_size: 100}")
    assert loop.dbt("run", "--select", "product_property_feature_backfill", *larger).success
    assert export(loop, folder, "--vars", "{}") == 0  # of the day that was built
    names = sorted(contents(folder))
    assert names[0] == "feature_backfill_20251120.csv"
    assert names[-1].endswith(f"-{loop.count(BACKFILL)}.csv")
    assert len(names) == 1 + -(-loop.count(BACKFILL) // 100)
    assert not list(tmp_path.glob(".export-*"))


def test_a_file_to_undo_the_sync_has_no_empty_checkbox(loop: Project, tmp_path: Path) -> None:
    at_build = "crm.sfdc_dbx_staging.int_product_properties_at_build"
    flags = ", ".join(f"current_{product.flag} = null" for product in PRODUCTS)
    loop.query(f"update {at_build} set {flags}, current_vor_start_date_c = date '2025-01-02'")
    assert export(loop, tmp_path / "out", "--undo") == 0
    header, *rows = read(tmp_path / "out" / "feature_backfill_20251121.csv")
    assert len(rows) == 1296
    for row in (dict(zip(header, row, strict=True)) for row in rows):
        assert {row[product.flag] for product in PRODUCTS} == {False}
        assert row["vor_start_date_c"] == date(2025, 1, 2)


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
    incident: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    folder = tmp_path / "out"
    assert export(incident, folder) == 0
    before = contents(folder)
    monkeypatch.setattr(program, "write_files", lambda *_: "nothing to move")
    assert export(incident, folder) == 1
    assert ": nothing was exported." in capsys.readouterr().err
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_backfill_that_nobody_should_send_is_not_exported(
    loop: Project, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def refusal(*more: str) -> str:
        assert export(loop, tmp_path / "out", *more) == 1
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    other_day = ("--vars", "as_of_date: 2025-11-14")
    assert "The backfill is for 2025-11-21, so nothing was exported." in refusal(*other_day)
    guard = "update crm.sfdc_dbx.feature_sync_guard set"
    loop.query(f"{guard} built_at = built_at - interval 27 hour")
    assert "older than 26 hours (guard_max_age_hours): run dbt build." in refusal()
    loop.query(f"{guard} is_tripped = true")
    assert "Nothing was exported. The guard is tripped" in refusal()
    loop.query(f"{guard} is_tripped = false, built_at = built_at + interval 27 hour")
    at_build = "crm.sfdc_dbx_staging.int_product_properties_at_build"
    loop.query(f"update {at_build} set created_at = null where reverse_etl_id_c > 'prop_9'")
    assert "older than the last build of the comparison: run dbt build." in refusal()
    loop.query(f"delete from {BACKFILL}")
    assert "The backfill is empty, so nothing was exported." in refusal()
