"""Every command of docs/runbook.md is run, in its order, on the incident."""

import contextlib
import json
import re
import shlex

import census
import export_feature_backfill
import pytest
import report
from census_server import STARTED, record, run, serve
from engines import INCIDENT, ROOT, Project, simulate_sync
from source_tables import SOURCE_TABLES
from test_export import read

PROGRAMS = {
    "scripts/census.py": census.main,
    "scripts/export_feature_backfill.py": export_feature_backfill.main,
    "scripts/report.py": report.main,
}
BLOCK = re.compile(r"^ *```bash\n(.*?)^ *```$", re.M | re.S)
SALESFORCE = SOURCE_TABLES["product_property_c"]
RELATIONS = {"52": "product_property_feature_sync", "53": "product_property_feature_backfill"}
AGREED = ROOT / "models" / "marts" / "census" / "product_property_feature_sync.json"


def commands() -> list[tuple[str, list[str]]]:
    """Return the commands of the runbook as words, each with its heading."""
    sections = re.split(r"^##+ ", (ROOT / "docs" / "runbook.md").read_text(), flags=re.M)
    return [
        (section.splitlines()[0], shlex.split(line))
        for section in sections
        for block in BLOCK.findall(section)
        for line in block.splitlines()
    ]


def cohort(project: Project) -> list[tuple]:
    """Return what Salesforce holds for the day, as the Census fields."""
    fields = "columns('reverse_etl_id_c|_(enabled|start_date|updated_date)_c')"
    return project.query(
        f"select {fields} from {SALESFORCE} where created_date >= date '2025-11-21' order by 1"
    )


@pytest.mark.slow
def test_every_command_of_the_runbook_works(
    loop: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The repairs that the runbook leaves to Census are simulated."""
    before = cohort(loop)
    sent = []
    rejected = [record("prop_1", "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access")]
    with contextlib.contextmanager(serve)() as server:
        server.sync = json.loads(AGREED.read_text())
        server.records = {"rejected": rejected, "invalid": []}
        monkeypatch.setenv("CENSUS_API_KEY", "secret-token:1")
        monkeypatch.setenv("CENSUS_API_URL", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for section, (word, *arguments) in commands():
            if section == "Prove it":  # the day is what the sections before have not repaired
                relation = "relation: product_property_feature_backfill"
                assert simulate_sync(loop, relation, *INCIDENT), loop.output
            if word == "dbt":
                assert loop.dbt(*arguments).success, (arguments, loop.output)
                continue
            assert word == "python"
            program, *options = arguments
            is_sync = options[:1] == ["sync"]
            failed = int(options[:1] == ["records"])
            server.answers = [STARTED, run()] if is_sync else [run(records_failed=failed)]
            with contextlib.chdir(loop.path):
                assert PROGRAMS[program](options) == 0, capsys.readouterr().err
            if is_sync and section in ("Full", "Batched", "Test first"):
                relation = RELATIONS[options[2]]
                sent.append((section, relation, loop.count(f"crm.sfdc_dbx.{relation}")))
                assert simulate_sync(loop, f"relation: {relation}", *INCIDENT)

    assert sent == [
        ("Full", "product_property_feature_backfill", 1296),
        ("Batched", "product_property_feature_sync", 50),
        ("Test first", "product_property_feature_sync", 50),
        ("Test first", "product_property_feature_sync", 100),
    ]
    batches = loop.path / "output/feature_backfill/feature_backfill_batches"
    assert len(list(batches.iterdir())) == 26
    mismatched = "select mismatched from crm.sfdc_dbx.feature_sync_summary where "
    assert loop.query(f"{mismatched} cohort = 'as_of_date' and product = 'All products'") == [(0,)]

    # Undo: the exported values are those that Salesforce held.
    assert cohort(loop) != before
    kept = loop.path / "output/feature_backfill_undo/feature_backfill_20251121.csv"
    (_, *names), *rows = read(kept)
    assert [(key, *values) for _, key, *values in rows] == before
    assert names[0] == "reverse_etl_id_c"


def test_the_figures_of_the_runbook_are_those_of_the_incident(incident: Project) -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    backfill = "crm.sfdc_dbx.product_property_feature_backfill"
    ((properties, batches, last),) = incident.query(
        f"select count(*), max(batch_number), (select count(*) from {backfill}"
        f" where batch_number = (select max(batch_number) from {backfill})) from {backfill}"
    )
    assert f"{properties:,} properties" in text
    assert f"{batches} files of 50 properties, the last\none of {last}" in text


def test_every_link_of_the_documents_leads_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    headings = {
        document: {
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", document.read_text(), re.M)
        }
        for document in documents
    }
    for document in documents:
        for link in re.findall(r"\]\((?!https://)([^)]+)\)", document.read_text()):
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), f"{document.name}: {link}"
            assert not anchor or anchor in headings[target], f"{document.name}: {link}"
