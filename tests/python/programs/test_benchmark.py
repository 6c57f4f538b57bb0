"""The benchmark's tables are what they promise, and its page judges what was measured."""

from pathlib import Path

import pytest
from bench import contestants, naive_query
from bench_report import BEGIN, BUILDS, END, Case, Results, Sample, Size, page
from conftest import Project, copy_of
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from measure import connect
from sources import FEATURES, MISMATCHED, RECORDS, SALESFORCE, Sources

TINY = Size("1M", 2 * RECORDS)  # called so that the goals for 1M are judged
CLEAN, MESSY = Case(TINY, MISMATCHED / RECORDS, False), Case(TINY, MISMATCHED / RECORDS, True)
IDS = "select snappt_property_id_c from"
SYNC = "crm.sfdc_dbx.product_property_feature_sync"


def count(warehouse: Path, relation: str, where: str = "true") -> int:
    query = f"select count(*) from {relation} where {where}"
    return connect(warehouse).execute(query).fetchall()[0][0]


@pytest.fixture(scope="module")
def built(empty_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a warehouse of clean tables with what Census reads built on them."""
    project = copy_of(empty_project.path, tmp_path_factory.mktemp("benchmark") / "project")
    CLEAN.sources.write(project.path / "warehouse")
    census = [f"+product_property_feature_{name}" for name in ("sync", "recent", "backfill")]
    variables = ("--vars", "as_of_date: 2025-11-21")
    assert project.dbt("run", "--select", *census, *variables).success, project.output
    DuckDBConnectionManager.close_all_connections()  # or the files cannot be attached again
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
    assert count(warehouse, SALESFORCE) == 2 * RECORDS
    properties = count(warehouse, f"(select distinct trim(property_id) from {FEATURES})")
    assert properties == 2 * 22_784
    assert count(warehouse, FEATURES) - properties == (44 if case.is_messy else 0)
    without_id = count(warehouse, SALESFORCE, "snappt_property_id_c is null")
    assert without_id == (11 if case.is_messy else 0)


def test_every_1000th_record_of_messy_tables_is_bad(case: Case, warehouse: Path) -> None:
    validated = "crm.sfdc_dbx_staging.int_product_properties_validated"
    exceptions = count(warehouse, validated, "sync_exception is not null")
    # 34 records, and the 11 whose sync key another one has.
    assert exceptions == (45 if case.is_messy else 0)


def test_the_naive_query_finds_what_the_sync_view_offers(case: Case, warehouse: Path) -> None:
    offered = set(connect(warehouse).execute(f"{IDS} {SYNC}").fetchall())
    naive = connect(warehouse).execute(f"{IDS} ({naive_query()})").fetchall()
    if case.is_messy:
        assert set(naive) - offered and offered - set(naive)
    else:
        assert len(naive) == len(offered) > MISMATCHED
        assert set(naive) == offered


def test_a_share_of_the_mismatches_can_be_asked_for(built: Path) -> None:
    Sources(RECORDS, MISMATCHED / RECORDS).write(built)
    assert count(built, f"({naive_query()})") == MISMATCHED
    Sources(RECORDS, 0.01).write(built)
    assert 100 < count(built, f"({naive_query()})") < 250


def test_every_query_has_something_to_read(case: Case, warehouse: Path) -> None:
    for name, query in contestants(is_all=True).items():
        if name != "dates":  # has a schema of its own
            assert connect(warehouse).execute(query).fetchall()[0][0] > 0, name


def test_the_same_tables_every_time(tmp_path: Path) -> None:
    for name in ("one", "other"):
        Sources(1_000, 0.16, is_messy=True).write(tmp_path / name)
    one, other = (
        connect(tmp_path / name).execute(f"from {SALESFORCE}").fetchall()
        for name in ("one", "other")
    )
    assert one == other


def test_the_page_marks_the_goals_and_keeps_what_is_written_by_hand() -> None:
    fast, slow = [Sample(1.0, 100)] * 3, [Sample(2.0, 140), Sample(1.6, 149), Sample(9.0, 151)]
    at_1m = {"build": [Sample(9, cpu=15.0)], "verify": [Sample(4, cpu=6.0)]}
    at_10m = {"build": [Sample(9, cpu=90.0)], "verify": [Sample(4, cpu=20.0)]}
    samples = {"naive": fast, "naive count": fast, "sync": slow, "sync count": slow}
    larger = MESSY._replace(size=Size("10M", 20_001))
    results = Results(
        queries={CLEAN: samples, MESSY: samples, larger: samples},
        job={MESSY: at_1m, larger: at_10m},
        builds={f"{project} {way}": fast for project in ("project", "no-op") for way in BUILDS},
        databricks={"naive": fast, "sync": slow},
        statements={"select": 100, "create": 31},
    )
    text = page(results, f"Written by hand.\n{BEGIN}old{END}More.")
    assert text.startswith("Written by hand.\n")
    assert text.endswith("More.")
    assert "old" not in text
    assert "| sync view in full, of the naive query, 1M | 2.03 | 2.00 | 2.00 | met |" in text
    assert "| hourly job at 1M, messy, CPU seconds | 20 | 21.00 | 21.00 | **not met** |" in text
    assert "| hourly job, CPU at 10M of that at 1M | 8 | 5.24 | 5.24 | met |" in text
    assert "harness | 130 | 131.00 | 131.00 | **not met** |" in text
    assert "On the harness an hour sends 131 statements: 100 select, 31 create." in text
    assert "a project that does nothing | 1.2 | 1.00 | 1.00 | met |" in text
    assert "2.000 (1.600 to 9.000) | 2.00 |" in text
    assert "nan" not in text
