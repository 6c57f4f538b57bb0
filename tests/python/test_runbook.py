"""Every command of docs/runbook.md is run, in its order, on the incident."""

import contextlib
import re
import shlex
from pathlib import Path

import export_feature_backfill
import pytest
import trigger_census_sync
from conftest import INCIDENT, ROOT, SOURCE_TABLES, Project, simulate_sync
from test_export import read
from test_trigger import STARTED, run, serve

PROGRAMS = {
    "scripts/export_feature_backfill.py": export_feature_backfill.main,
    "scripts/trigger_census_sync.py": trigger_census_sync.main,
}
BLOCK = re.compile(r"^ *```bash\n(.*?)^ *```$", re.M | re.S)
SALESFORCE = SOURCE_TABLES["product_property_c"]
SYNC = "product_property_feature_sync"


def commands() -> list[tuple[str, list[str]]]:
    """Return the commands of the runbook as words, each with the heading it stands under."""
    sections = re.split(r"^## ", (ROOT / "docs" / "runbook.md").read_text(), flags=re.M)
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
    """Where the runbook triggers Census, what Census would then do is simulated."""
    before = cohort(loop)
    sent = []
    with contextlib.contextmanager(serve)() as server:
        monkeypatch.setenv("CENSUS_API_KEY", "secret-token:1")
        monkeypatch.setenv("CENSUS_API_URL", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for section, (word, *arguments) in commands():
            if section == "Prove":  # the rest of the backlog, which the runbook leaves to the job
                assert loop.dbt("run", *INCIDENT).success
                assert simulate_sync(loop, f"relation: {SYNC}", *INCIDENT)
            if word == "dbt":
                assert loop.dbt(*arguments).success, (arguments, loop.output)
                continue
            assert word == "python"
            server.answers = [STARTED, run()]
            program, *options = arguments
            with contextlib.chdir(loop.path):
                assert PROGRAMS[program](options) == 0, capsys.readouterr().err
            if program == "scripts/trigger_census_sync.py":
                relation = trigger_census_sync.make_parser().parse_args(options).relation
                sent.append((section, relation, loop.count(f"crm.sfdc_dbx.{relation}")))
                assert simulate_sync(loop, f"relation: {relation}", *INCIDENT)

    assert sent == [
        ("Full", "product_property_feature_backfill", 1296),
        ("Batched", SYNC, 50),
        ("Test first", SYNC, 50),
        ("Test first", SYNC, 100),
    ]
    assert (
        len(list((loop.path / "output/feature_backfill/feature_backfill_batches").iterdir())) == 26
    )

    # Undo: what was kept before is what Salesforce held.
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
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = document.read_text()
        headings = {
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.M)
        }
        for link in re.findall(r"\]\((?!https://)([^)]+)\)", text):
            path, _, anchor = link.partition("#")
            assert not path or Path(document.parent, path).exists(), link
            assert path or anchor in headings, link
