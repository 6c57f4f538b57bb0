"""Run the real dbt-databricks adapter without Databricks, on an in-process Sail server.

Only `databricks.sql.connect` is replaced: the connection it opens sends each statement to a
Spark Connect session of `pysail`. Nothing of dbt, of the adapter or of a project is patched.

    with DatabricksHarness(tmp_path) as harness:
        harness.load_csv("crm.raw.accounts", csv_file, {"id": "string", "is_won": "boolean"})
        assert harness.dbt("build", project_dir=project).success
        assert not [sql for sql in harness.statements if "drop table" in sql.lower()]
"""

import contextlib
import itertools
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, NamedTuple, Self
from unittest.mock import patch

import pyarrow as pa
import yaml
from dbt.adapters.databricks.connections import DatabricksConnectionManager
from dbt.adapters.factory import reset_adapters
from dbt.cli.main import dbtRunner, dbtRunnerResult
from pyarrow import compute, csv, parquet
from pysail.spark import SparkConnectServer
from pyspark.errors import PySparkException
from pyspark.sql.connect.session import SparkSession

from databricks.sql.exc import ServerOperationError
from databricks.sql.types import Row

NAME = r"(?P<name>[\w`]+(?:\.[\w`]+)*)"  # a relation, with any number of name parts
# Anything up to a keyword, strings taken whole, so that a keyword in a comment does not count.
CLAUSES = r"(?P<clauses>(?:'(?:[^'\\]|\\.)*'|[^'])*?)"


class Rule(NamedTuple):
    """A statement that the engine cannot take as it is, and what is done about it."""

    pattern: str  # found anywhere in the statement; `^` is its start, after dbt's query comment
    action: "Callable[[DatabricksHarness, re.Match[str]], pa.Table | str]"  # an answer, or new SQL
    reason: str


RULES = (
    Rule(
        r"^set (spark\.databricks\.clusterUsageTags\.sparkVersion)$",
        lambda h, m: pa.table({"key": [m[1]], "value": [f"{h.dbr}.x-scala2.12"]}),
        "a cluster tag; the adapter reads the runtime version, and so its capabilities, from it",
    ),
    Rule(
        r"(?:`?(\w+)`?\.)?`?\binformation_schema\b`?\.`?(\w+)`?",
        lambda h, m: re.sub(m.re, lambda n: h._information_schema(n[1], n[2]), m.string),
        "no information_schema in the engine: read from temporary views of what it really holds",
    ),
    Rule(
        rf"^(?:create or replace|drop) (?P<kind>table|view) (?:if exists )?{NAME}",
        lambda h, m: h._check_kind(m),
        "the engine keeps a table and a view of one name side by side; Databricks refuses that",
    ),
    Rule(
        rf"^create (?:or replace )?table (?!if not exists){NAME}\s{CLAUSES}\bas\s(?P<query>.*)",
        lambda h, m: h._create_table_as(m),
        "the engine takes no comment here, keeps the old columns on replace, and makes a column "
        "that happens to hold no NULL a NOT NULL one",
    ),
    Rule(
        rf"^describe (?:table )?extended {NAME} as json$",
        lambda h, m: h._describe_as_json(m["name"]),
        "syntax unknown to the engine; made from its DESCRIBE TABLE",
    ),
    Rule(
        rf"^comment on (?:table|view|column) {NAME} is |^alter table {NAME.replace('name', 'n2')} "
        r"alter column \S+ comment ",
        lambda h, m: NO_RESULT,
        "the engine cannot change a comment; it is in `statements`, and has no other effect",
    ),
    Rule(
        rf"^alter table {NAME} (?:change|alter) column (?P<column>\S+) set not null",
        lambda h, m: (
            f"select assert_true(count(*) = 0, 'NULL in {m['column']} of {m['name']}') "
            f"from {m['name']} where {m['column']} is null"
        ),
        "the engine cannot alter a column; what the constraint would check at once is checked",
    ),
    Rule(
        rf"^alter (?P<kind>table|view) {NAME} rename to (?P<to>\S+)$",
        lambda h, m: h._rename(m),
        "the engine cannot rename; made by copy and drop",
    ),
    Rule(
        rf"^(?P<verb>grant|revoke) (?P<privilege>\w+) on {NAME} (?:to|from) (?P<who>\S+)$",
        lambda h, m: h._change_grants(m),
        "no privileges in the engine: kept by the harness",
    ),
    Rule(
        rf"^show grants on {NAME}$",
        lambda h, m: h._show_grants(m["name"]),
        "no privileges in the engine: those the harness keeps",
    ),
    Rule(
        r"^show (?:schemas|databases)\b",
        lambda h, m: h._fetch(m.string).select([0]).rename_columns(["databaseName"]),
        "the engine answers with other columns than Databricks",
    ),
)
NO_RESULT = pa.table({})
# Whatever still asks for these after the rules would get no, or another, answer from the engine.
UNKNOWN_METADATA = re.compile(r"\binformation_schema\b|\bsystem`?\.|^show (views|grants)\b", re.I)
QUERY = re.compile(r"^[\s(]*(select|with|values|show|desc|describe|explain|from)\b", re.I)
LEADING_COMMENTS = re.compile(r"^(?:\s+|/\*.*?\*/|--[^\n]*\n)+", re.S)

# The parts of information_schema that the adapter reads, and their columns. The engine has
# nothing that could be in those without a reader in `_information_schema`: they are empty.
TABLE_KEY = ("table_catalog", "table_schema", "table_name")
TAG_KEY = ("catalog_name", "schema_name", "table_name")
CONSTRAINT_KEY = ("constraint_catalog", "constraint_schema", "constraint_name")
INFORMATION_SCHEMA = {
    "tables": (*TABLE_KEY, "table_type", "data_source_format", "table_owner", "comment")
    + ("last_altered",),
    "views": (*TABLE_KEY, "view_definition"),
    "columns": (*TABLE_KEY, "column_name", "full_data_type", "is_nullable", "ordinal_position"),
    "row_filters": (*TABLE_KEY, "filter_name", "target_columns"),
    "column_masks": (*TABLE_KEY, "column_name", "mask_name", "using_columns"),
    "table_tags": (*TAG_KEY, "tag_name", "tag_value"),
    "column_tags": (*TAG_KEY, "column_name", "tag_name", "tag_value"),
    "table_constraints": (*CONSTRAINT_KEY, *TABLE_KEY, "constraint_type"),
    "key_column_usage": (*CONSTRAINT_KEY, *TABLE_KEY, "column_name", "ordinal_position")
    + ("position_in_unique_constraint",),
    "referential_constraints": CONSTRAINT_KEY
    + ("unique_constraint_catalog", "unique_constraint_schema", "unique_constraint_name"),
}

ARROW_TYPES = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "binary": pa.binary(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
TYPE_NAMES = {arrow: name for name, arrow in ARROW_TYPES.items()}


class DatabricksHarness:
    """A Sail server with the given catalogs, and dbt runs whose adapter is connected to it.

    Every path that dbt writes to (target, logs, profile) and every table is below `workdir`; the
    tables go when the harness is closed. `statements` has what the adapter sent, word for word.
    """

    def __init__(
        self,
        workdir: Path,
        catalogs: Sequence[str] = ("hive_metastore", "crm", "rds"),
        targets: Mapping[str, tuple[str, str]] | None = None,
        dbr: str = "16.4",
    ) -> None:
        """Name the catalogs, dbt's targets as (catalog, schema), first one default, and the DBR."""
        self.workdir = workdir.resolve()
        self.catalogs = tuple(catalogs)
        self.targets = targets or {"prod": ("crm", "sfdc_dbx"), "dev": ("crm", "dbt_dev")}
        self.dbr = dbr
        self.statements: list[str] = []
        #: The how-manieth statement from now fails, once; counts down.
        self.fail_at: int | None = None
        self._grants: dict[str, set[tuple[str, str]]] = {}
        self._lock = threading.RLock()
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:  # closes what is open when a later step fails
            self.workdir.mkdir(parents=True, exist_ok=True)
            self._data = Path(stack.enter_context(TemporaryDirectory(dir=self.workdir)))
            stack.enter_context(patch.dict(os.environ, self._environment()))
            stack.callback(reset_adapters)
            server = SparkConnectServer("127.0.0.1", 0)
            server.start(background=True)
            stack.callback(server.stop)
            host, port = server.listening_address
            self._spark = SparkSession.builder.remote(f"sc://{host}:{port}").create()
            stack.callback(self._spark.stop)
            self._spark.conf.set("spark.sql.session.timeZone", "UTC")
            self._spark.conf.set("spark.sql.warehouse.dir", str(self._data))
            self._write_profile()
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._resources.close()

    def _environment(self) -> dict[str, str]:
        catalogs = (f'{{name="{c}", type="memory", initial_database=["default"]}}' for c in self.catalogs)
        return {
            "SAIL_CATALOG__LIST": f"[{', '.join(catalogs)}]",
            "SAIL_CATALOG__DEFAULT_CATALOG": f'"{self.catalogs[0]}"',
            "RUST_LOG": "error",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_TARGET_PATH": str(self.workdir / "target"),
            "DBT_LOG_PATH": str(self.workdir / "logs"),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def _write_profile(self) -> None:
        connection = {
            "type": "databricks",
            # The adapter asks this host whether it is a unified one; nobody listens on port 1.
            "host": "127.0.0.1:1",
            # The path of a cluster: it has a runtime version. Keep a warehouse out of the tests.
            "http_path": "sql/protocolv1/o/1/harness",
            "token": "unused",
            "threads": 1,
        }
        outputs = {n: {**connection, "catalog": c, "schema": s} for n, (c, s) in self.targets.items()}
        profile = {"harness": {"target": next(iter(outputs)), "outputs": outputs}}
        (self.workdir / "profiles.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")

    def dbt(self, *args: str, project_dir: Path) -> dbtRunnerResult:
        """Run a dbt command in the project's folder, on the default target unless told otherwise."""
        # Kept by the adapter for the life of the process, which in production is one command.
        DatabricksConnectionManager._dbr_capabilities_cache.clear()
        options = ("--project-dir", ".", "--profiles-dir", str(self.workdir), "--profile", "harness")
        with contextlib.chdir(project_dir), patch("databricks.sql.connect", self._connect):
            return dbtRunner().invoke([*args, *options])

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the adapter would, but off the record, and return its rows."""
        with self._lock:
            return _rows(self._run(statement))

    def load_csv(self, name: str, path: Path, types: Mapping[str, str]) -> None:
        """Create or replace a Delta table (and its schema) from a CSV file with a header.

        Empty is NULL, booleans are true or false, timestamps are UTC; a column without a type is
        a string. A value that does not fit its type is an error.
        """
        arrow = {column: _arrow_type(spark_type) for column, spark_type in types.items()}
        stamps = {column for column, arrow_type in arrow.items() if pa.types.is_timestamp(arrow_type)}
        table = csv.read_csv(
            path,
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types={**arrow, **dict.fromkeys(stamps, pa.string())},
                null_values=[""],
                strings_can_be_null=True,
                true_values=["true"],
                false_values=["false"],
            ),
        )
        for column in stamps:
            index = table.column_names.index(column)
            table = table.set_column(index, column, _timestamps(table[column], arrow[column]))
        with self._lock:
            self._fetch(f"create schema if not exists {name.rpartition('.')[0]}")
            self._fetch(self._create_table(name, table))

    # What the DB-API connection calls.

    def _connect(self, *, catalog: str, **_: object) -> "_Connection":
        return _Connection(self, catalog)

    def _execute(self, statement: str, catalog: str) -> pa.Table:
        with self._lock:
            self.statements.append(statement)
            if self.fail_at is not None:
                self.fail_at -= 1
                if self.fail_at < 1:
                    self.fail_at = None
                    raise _error("[HARNESS_FAULT] the failure asked for with fail_at", statement)
            if self._spark.catalog.currentCatalog() != catalog:  # one session for all connections
                self._spark.catalog.setCurrentCatalog(catalog)
            return self._run(statement)

    def _run(self, statement: str) -> pa.Table:
        text = LEADING_COMMENTS.sub("", statement).strip()
        try:
            for rule in RULES:
                if match := re.search(rule.pattern.replace(" ", r"\s+"), text, re.I | re.S):
                    result = rule.action(self, match)
                    if isinstance(result, pa.Table):
                        return result
                    text = result
            if UNKNOWN_METADATA.search(text):
                raise _error("[HARNESS] no rule answers this metadata query", statement)
            return self._fetch(text)
        except PySparkException as error:
            raise _error(str(error), statement) from error

    def _fetch(self, sql: str) -> pa.Table:
        frame = self._spark.sql(sql)  # runs a command at once, a query when it is fetched
        return frame.toArrow() if QUERY.search(sql) else NO_RESULT

    # The actions of the rules.

    def _relations(self, catalog: str, schema: str, like: str = "*") -> Iterator[dict[str, Any]]:
        sql = f"show table extended in `{catalog}`.`{schema}` like '{like}'"
        for row in self._fetch(sql).to_pylist():
            head, _, columns = row["information"].partition("\nSchema: root\n")
            view_text = re.search(r"^View Text: (.*?)(?:\nTable Properties: |\Z)", head, re.S | re.M)
            found = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
            log = Path(found.get("Location", ""), "_delta_log")
            yield {
                "table_catalog": catalog.lower(),
                "table_schema": schema.lower(),
                "table_name": row["tableName"].lower(),
                "table_type": found["Type"],
                "data_source_format": found.get("Provider", "").upper() or None,
                "table_owner": "harness",
                "comment": found.get("Comment"),
                "last_altered": log.stat().st_mtime_ns // 1000 if log.exists() else None,
                "view_definition": view_text[1] if view_text else None,
                "columns": re.findall(r"^ \|-- (.*): (.*) \(nullable = (\w+)\)", columns, re.M),
            }

    def _schemas(self, catalog: str) -> list[str]:
        return self._fetch(f"show schemas in `{catalog}`")[0].to_pylist()

    def _information_schema(self, catalog: str | None, part: str) -> str:
        """Make the temporary view that stands for a part of information_schema; return its name."""
        part = part.lower()
        if part not in INFORMATION_SCHEMA:
            return f"information_schema.{part}"  # which `_run` refuses
        rows: list[dict[str, Any]] = []
        catalogs = [catalog] if catalog in self.catalogs else self.catalogs
        if part in ("tables", "views", "columns"):
            places = [(c, schema) for c in catalogs for schema in self._schemas(c)]
            rows = [relation for place in places for relation in self._relations(*place)]
        if part == "views":
            rows = [relation for relation in rows if relation["view_definition"]]
        if part == "columns":
            rows = [column for relation in rows for column in _columns(relation)]
        types = {"last_altered": ARROW_TYPES["timestamp"], "ordinal_position": pa.int32()}
        schema = pa.schema([(c, types.get(c, pa.string())) for c in INFORMATION_SCHEMA[part]])
        view = f"__information_schema_{part}"
        frame = self._spark.createDataFrame(pa.Table.from_pylist(rows, schema))
        frame.createOrReplaceTempView(view)
        return view

    def _check_kind(self, match: re.Match[str]) -> str:
        parts = _parts(match["name"])
        if len(parts) == 3 and parts[1] in self._schemas(parts[0]):
            for relation in self._relations(*parts):
                kind = "view" if relation["table_type"] == "VIEW" else "table"
                if kind != match["kind"].lower():
                    message = f"[WRONG_COMMAND_FOR_OBJECT_TYPE] {match['name']} is a {kind}."
                    raise _error(message, match.string)
            if match.string.lower().startswith("drop") or match["kind"].lower() == "view":
                self._grants.pop(".".join(parts), None)  # only a replaced table keeps its grants
        return match.string

    def _create_table_as(self, match: re.Match[str]) -> str:
        clauses = re.sub(r"\bcomment\s+'(?:[^'\\]|\\.)*'", "", match["clauses"], flags=re.I)
        return self._create_table(match["name"], self._fetch(match["query"]), clauses)

    def _create_table(self, name: str, table: pa.Table, clauses: str = "using delta") -> str:
        file = Path(mkdtemp(dir=self._data), "stage.parquet")
        nullable = pa.schema([field.with_nullable(True) for field in table.schema])
        parquet.write_table(table.cast(nullable), file)
        return (
            f"create or replace table {name} {clauses} options (overwriteSchema 'true') "
            f"as select * from parquet.`{file}`"
        )

    def _describe_as_json(self, name: str) -> pa.Table:
        columns = [
            {"name": row["col_name"], "type": {"name": row["data_type"]}, "comment": row["comment"]}
            for row in self._fetch(f"describe table {name}").to_pylist()
        ]
        return pa.table({"json_metadata": [json.dumps({"columns": columns})]})

    def _rename(self, match: re.Match[str]) -> pa.Table:
        name, kind, target = match["name"], match["kind"], match["to"]
        if kind.lower() == "view":
            (view,) = self._relations(*_parts(name))
            self._fetch(f"create view {target} as {view['view_definition']}")
        else:
            self._fetch(self._create_table(target, self._fetch(f"select * from {name}")))
        self._fetch(f"drop {kind} {name}")
        self._grants[".".join(_parts(target))] = self._grants.pop(".".join(_parts(name)), set())
        return NO_RESULT

    def _change_grants(self, match: re.Match[str]) -> pa.Table:
        grants = self._grants.setdefault(".".join(_parts(match["name"])), set())
        change = grants.add if match["verb"].lower() == "grant" else grants.discard
        change((match["who"].strip("`"), match["privilege"].upper()))
        return NO_RESULT

    def _show_grants(self, name: str) -> pa.Table:
        grants = sorted(self._grants.get(".".join(_parts(name)), set()))
        columns = ([who for who, _ in grants], [privilege for _, privilege in grants])
        kinds = (["TABLE"] * len(grants), [name] * len(grants))
        values = [pa.array(column, pa.string()) for column in (*columns, *kinds)]
        return pa.table(values, ["Principal", "ActionType", "ObjectType", "ObjectKey"])


class _Connection:
    """What the adapter uses of a `databricks.sql` connection."""

    def __init__(self, harness: DatabricksHarness, catalog: str) -> None:
        self.harness = harness
        self.catalog = catalog

    def cursor(self) -> "_Cursor":
        return _Cursor(self)

    def get_session_id_hex(self) -> str:
        return f"{id(self):x}"

    def close(self) -> None:
        """Leave the session open: it belongs to the harness."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Cursor:
    """What the adapter uses of a `databricks.sql` cursor."""

    query_id = "harness"

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self._set_result(NO_RESULT)

    def _set_result(self, table: pa.Table) -> Self:
        self._rows = iter(_rows(table))
        self.description = [
            (field.name, _type_name(field.type), None, None, None, None, field.nullable)
            for field in table.schema
        ]
        return self

    def execute(self, operation: str, parameters: Sequence[Any] | None = None) -> Self:
        if parameters:
            raise NotImplementedError(f"the harness binds no parameters: {operation}")
        connection = self.connection
        result = connection.harness._execute(operation, connection.catalog)
        if use := re.search(r"^use\s+catalog\s+`?(\w+)", LEADING_COMMENTS.sub("", operation), re.I):
            connection.catalog = use[1]
        return self._set_result(result)

    def schemas(self, catalog_name: str, schema_name: str | None = None) -> Self:
        schemas = self.connection.harness._schemas(catalog_name)
        found = [schema for schema in schemas if schema_name in (None, schema)]
        return self._set_result(pa.table({"TABLE_SCHEM": found, "TABLE_CATALOG": catalog_name}))

    def tables(self, catalog_name: str, schema_name: str) -> Self:
        relations = list(self.connection.harness._relations(catalog_name, schema_name))
        kinds = ["VIEW" if r["table_type"] == "VIEW" else "TABLE" for r in relations]
        names = [relation["table_name"] for relation in relations]
        return self._set_result(pa.table({"TABLE_NAME": names, "TABLE_TYPE": kinds}))

    def fetchall(self) -> list[Row]:
        return list(self._rows)

    def fetchmany(self, size: int) -> list[Row]:
        return list(itertools.islice(self._rows, size))

    def fetchone(self) -> Row | None:
        return next(self._rows, None)

    def cancel(self) -> None:
        """Do nothing: a statement has always ended when the adapter gets its cursor."""

    def close(self) -> None:
        self._set_result(NO_RESULT)


def _rows(table: pa.Table) -> list[Row]:
    row = Row(*table.column_names) if table.column_names else Row
    return [row(*values) for values in zip(*(c.to_pylist() for c in table.columns), strict=True)]


def _columns(relation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for position, (name, data_type, nullable) in enumerate(relation["columns"]):
        yield {
            **{key: relation[key] for key in TABLE_KEY},
            "column_name": name,
            "full_data_type": data_type,
            "is_nullable": "YES" if nullable == "true" else "NO",
            "ordinal_position": position,
        }


def _parts(name: str) -> list[str]:
    return name.replace("`", "").lower().split(".")


def _error(message: str, statement: str) -> ServerOperationError:
    return ServerOperationError(f"{message}\nin the statement:\n{statement}")


def _type_name(arrow_type: pa.DataType) -> str:
    """Name a type as the connector does: without its parameters."""
    plain = str(arrow_type).partition("(")[0].partition("<")[0]
    return TYPE_NAMES.get(arrow_type) or {"decimal128": "decimal", "list": "array"}.get(plain, plain)


def _arrow_type(spark_type: str) -> pa.DataType:
    if decimal := re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", spark_type):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    return ARROW_TYPES[spark_type]


def _timestamps(column: pa.ChunkedArray, arrow_type: pa.DataType) -> pa.ChunkedArray:
    """Read timestamps that may or may not say that they are UTC; any other zone is an error."""
    text = compute.replace_substring_regex(column, r"\s*(Z|UTC|[+-]00(:?00)?)$", "")
    naive = text.cast(pa.timestamp("us"))
    return compute.assume_timezone(naive, arrow_type.tz) if arrow_type.tz else naive
