"""The checks of the Databricks CLI that can refuse databricks.yml.

Read in the CLI's source, v1.13. Run as a program it stands in for `databricks bundle`: it reads
databricks.yml and BUNDLE_VAR_… where it is called, and refuses what the CLI refuses.
"""

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

# The CLI's knowledge of a deployment. workspace.host is not in it: unless the bundle sets it, it
# resolves to nothing.
KNOWN = {
    "bundle.name": "product-property-sync",
    "bundle.target": "prod",
    "workspace.current_user.short_name": "someone",
    "workspace.file_path": "/Workspace/files",
}


class RefusedError(Exception):
    """The CLI would not take this."""


def joined(base: Any, over: Any, name: str = "") -> Any:  # noqa: ANN401
    """Join a target's settings to the common ones: tasks by their key, other lists one by one."""
    if isinstance(base, dict) and isinstance(over, dict):
        both = base.keys() & over.keys()
        return base | over | {key: joined(base[key], over[key], key) for key in both}
    if isinstance(base, list) and isinstance(over, list):
        if name != "tasks":
            return base + over
        tasks = [{task["task_key"]: task for task in part} for part in (base, over)]
        return list(joined(*tasks).values())
    return over


def resolved(value: Any, names: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Put the values of references in their place; KeyError for one that has none."""
    if isinstance(value, dict):
        return {key: resolved(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [resolved(entry, names) for entry in value]
    if whole := re.fullmatch(r"\${([\w.]+)}", str(value)):
        return resolved(names[whole[1]], names)
    if isinstance(value, str):
        return re.sub(r"\${([\w.]+)}", lambda match: str(names[match[1]]), value)
    return value


def deployed(bundle: dict[str, Any], target: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a target as it would be deployed, with its job under `job`, or raise RefusedError."""
    over = bundle["targets"][target]
    values = {name: one["default"] for name, one in bundle["variables"].items() if "default" in one}
    values |= over.get("variables", {}) | given
    if missing := sorted(bundle["variables"].keys() - values.keys()):
        raise RefusedError(f"no value assigned to required variable {', '.join(missing)}")
    (name, job) = next(iter(bundle["resources"]["jobs"].items()))
    job = joined(job, over.get("resources", {}).get("jobs", {}).get(name, {}))
    names = KNOWN | {f"var.{name}": value for name, value in values.items()}
    target_settings = resolved(over | {"job": job}, names)
    for task in target_settings["job"]["tasks"]:
        if "" in task.get("spark_python_task", {}).get("parameters", []):
            raise RefusedError(f"{task['task_key']}: parameters[<nil>] is not a string")
    keys = [one["environment_key"] for one in target_settings["job"]["environments"]]
    if len(set(keys)) < len(keys):
        raise RefusedError("two environments have the same key")
    if over["mode"] == "production":
        identity = target_settings.get("run_as", {}).get("service_principal_name")
        if not identity or not target_settings.get("workspace", {}).get("root_path"):
            raise RefusedError("a production target needs run_as and workspace.root_path")
    return target_settings


def main() -> int:
    """Answer `bundle deploy`, `bundle run`, … with the CLI's exit code."""
    parser = argparse.ArgumentParser(prog="databricks bundle")
    parser.add_argument("command", choices=["validate", "deploy", "run", "summary"])
    parser.add_argument("job", nargs="?")
    parser.add_argument("--target")
    parser.add_argument("--var", action="append", default=[])
    arguments = parser.parse_args(sys.argv[2:])
    bundle = yaml.safe_load(Path("databricks.yml").read_text())
    start = "BUNDLE_VAR_"
    given = {k.removeprefix(start): v for k, v in os.environ.items() if k.startswith(start)}
    try:
        deployed(bundle, arguments.target, given | dict(var.split("=", 1) for var in arguments.var))
        if arguments.command == "run" and arguments.job not in bundle["resources"]["jobs"]:
            raise RefusedError(f"there is no job {arguments.job}")
    except RefusedError as refused:
        print(f"Error: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main() if sys.argv[1] == "bundle" else 0)
