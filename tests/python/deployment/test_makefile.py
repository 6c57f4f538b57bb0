"""The first minute of a newcomer: what `make` prints, and which Python it takes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from engines import ROOT, Project, copy_of


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
