"""The benchmark's source tables are comparable, and its page keeps the text written by hand."""

from collections import Counter

import bench
import pytest
from bench import FEATURES, SALESFORCE, Case, Read
from engines import Project


@pytest.mark.parametrize("is_messy", [False, True])
def test_the_naive_query_is_right_only_on_clean_tables(
    incident: Project, loop: Project, is_messy: bool
) -> None:
    bench.write_sources(incident.path / "warehouse", loop.path / "warehouse", 20_000, is_messy)
    naive, offered = (
        {key for key, *_ in loop.query(query)} for query in (bench.naive_query(), bench.SYNC)
    )
    assert 2815 < len(offered) < 4000
    assert (naive == offered) is not is_messy
    assert loop.count(SALESFORCE) == 20_000
    assert loop.count(SALESFORCE, "reverse_etl_id_c = ''") == (7 if is_messy else 0)
    properties = loop.count(f"(select distinct trim(property_id) from {FEATURES})")
    assert (loop.count(FEATURES) > properties) is is_messy


def test_the_results_replace_those_before() -> None:
    naive = [Read(seconds, 100.0, 2815) for seconds in (1.0, 2.0, 9.0)]
    case = Case(1_000_000, True, naive, [Read(3.0, 150.0, 2815)] * 3, 50.0, 19.04)
    text = bench.results([case], Counter(select=100, create=31), rounds=3)
    assert "| 1,000,000, messy | 2.000 | 3.000 | 1.50 | 1.50 | 19.0 | 50.0 | 25 |\n" in text
    assert "an hour sends 131 statements: 100 select, 31 create." in text
    page = bench.insert(text, f"By hand.\n{bench.BEGIN}old\n{bench.END}More.")
    assert page == f"By hand.\n{bench.BEGIN}{text}{bench.END}More."
