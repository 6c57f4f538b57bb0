"""The benchmark's tables are what they promise, and its report judges what was measured."""

from pathlib import Path

import pytest
from bench import contestants, naive_query, wrong_and_missing
from bench_report import BUILDS, Case, Results, Sample, Size, page
from conftest import Project, copy_of
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from measure import connect
from sources import FEATURES, SALESFORCE, Sources

TINY = Size("1M", 5_000, 6_500)  # called so that the goals for 1M are judged
CLEAN, MESSY = Case(TINY, 0.16, False), Case(TINY, 0.16, True)
IDS = "select snappt_property_id_c from"
SYNC = "crm.sfdc_dbx.product_property_feature_sync"


def count(warehouse: Path, relation: str, where: str = "true") -> int:
    return (
        connect(warehouse)
        .execute(f"select count(*) from {relation} where {where}")
        .fetchall()[0][0]
    )


@pytest.fixture(scope="module")
def built(empty_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a warehouse of clean tables with what Census reads built on them."""
    project = copy_of(empty_project.path, tmp_path_factory.mktemp("benchmark") / "project")
    CLEAN.sources.write(project.path / "warehouse")
    variables = "{as_of_date: 2025-11-21, guard_min_feature_rows: 1}"
    census = [f"+product_property_feature_{name}" for name in ("sync", "recent", "backfill")]
    assert project.dbt("run", "--select", *census, "--vars", variables).success, project.output
    DuckDBConnectionManager.close_all_connections()  # or the files cannot be attached anew
    return project.path / "warehouse"


@pytest.fixture(scope="module", params=[CLEAN, MESSY], ids=["clean", "messy"])
def case(request: pytest.FixtureRequest) -> Case:
    """Return what the source tables are like."""
    return request.param


@pytest.fixture(scope="module")
def warehouse(case: Case, built: Path) -> Path:
    """Return the warehouse with the source tables of a case."""
    case.sources.write(built)
    return built


def test_tables_have_the_promised_rows(case: Case, warehouse: Path) -> None:
    assert count(warehouse, SALESFORCE) == 5_000
    assert count(warehouse, FEATURES) == 6_500
    properties = count(warehouse, f"(select distinct property_id from {FEATURES})")
    assert properties == 6_500 - (6 if case.is_messy else 0)
    known = count(
        warehouse, SALESFORCE, f"snappt_property_id_c in (select property_id from {FEATURES})"
    )
    assert known == 4_945 - (2 if case.is_messy else 0)  # 98.9 %, and two without an id


def test_every_1000th_row_of_messy_tables_is_bad(case: Case, warehouse: Path) -> None:
    exceptions = count(
        warehouse,
        "crm.sfdc_dbx_staging.stg_salesforce__product_properties",
        "sync_exception is not null",
    )
    # 5 rows; a row whose key is another's too is bad together with that one.
    assert exceptions == (6 if case.is_messy else 0)


def test_the_naive_query_finds_what_the_sync_view_offers(case: Case, warehouse: Path) -> None:
    offered = set(connect(warehouse).execute(f"{IDS} {SYNC}").fetchall())
    naive = connect(warehouse).execute(f"{IDS} ({naive_query()})").fetchall()
    if case.is_messy:
        assert set(naive) - offered and offered - set(naive)
    else:
        assert len(naive) == case.sources.mismatched == 800
        assert set(naive) == offered


def test_every_query_has_something_to_read(case: Case, warehouse: Path) -> None:
    for name, query in contestants(is_all=True).items():
        if name != "dates":  # has a schema of its own
            assert connect(warehouse).execute(query).fetchall()[0][0] > 0, name


def test_wrong_and_missing_keys_are_counted(warehouse: Path, tmp_path: Path) -> None:
    ids = [key for (key,) in connect(warehouse).execute(f"{IDS} {SYNC}").fetchall()]
    keys = tmp_path / "keys.txt"
    keys.write_text("".join(f"{key}\n" for key in [*ids[2:], ids[2], "", "none"]), encoding="utf-8")
    assert wrong_and_missing(warehouse, keys) == (3, 2)


def test_the_same_tables_every_time(tmp_path: Path) -> None:
    for name in ("one", "other"):
        Sources(1_000, 1_300, 0.16, is_messy=True).write(tmp_path / name)
    one, other = (
        sorted(connect(tmp_path / name).execute(f"from {SALESFORCE}").fetchall())
        for name in ("one", "other")
    )
    assert one == other


def test_report_marks_the_goals() -> None:
    fast, slow = [Sample(1.0, 100)] * 3, [Sample(2.0, 140), Sample(1.6, 149), Sample(9.0, 150)]
    samples = {"naive": fast, "naive count": fast, "sync": slow, "sync count": slow}
    results = Results(
        queries={CLEAN: samples},
        builds={f"{project} {way}": fast for project in ("project", "no-op") for way in BUILDS}
        | {"project cold": slow},
        tools={"sync": fast, "naive": slow, "reladiff": slow},
        errors={"naive": (1_496, 7), "reladiff": "NotImplementedError"},
        databricks={"naive": fast, "sync": slow},
    )
    text = page(results)
    assert "| sync view in full, of the naive query, 1M | 1.5 | 2.00 | 2.00 | **not met** |" in text
    assert "| memory of the sync view, of the naive query's | 1.5 | 1.49 | 1.49 | met |" in text
    assert "10M | 2 |  |  | not measured |" in text
    assert "harness, of its naive query, 1M | 2.5 | 2.00 | 2.00 | met |" in text
    assert "of a project that does nothing | 1.5 | 1.00 | 2.00 | met in part |" in text
    assert "2.000 (1.600 to 9.000) | 2.00 |" in text
    assert "| 1,496 | 7 | empty flags" in text
    assert "| NotImplementedError |  | tables where" in text
    assert "nan" not in text
