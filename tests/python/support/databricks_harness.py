"""Run the real dbt-databricks adapter without Databricks, on an in-process Sail server.

Only `databricks.sql.connect` is replaced: the connection it gives sends each statement to a Spark
Connect session of `pysail`. Nothing else of dbt, of the adapter or of a project is patched.

    with DatabricksHarness(tmp_path) as harness:
        harness.load_csv("crm.raw.accounts", csv_file, {"is_won": "boolean"})
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
from csv import reader as csv_reader
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, NamedTuple, Self
from unittest.mock import patch

import pyarrow as pa
import yaml
from databricks.sql.exc import ServerOperationError
from databricks.sql.types import Row
from dbt.adapters.databricks.connections import DatabricksConnectionManager
from dbt.adapters.factory import reset_adapters
from dbt.cli.main import dbtRunner, dbtRunnerResult
from pyarrow import compute, csv, parquet
from pysail.spark import SparkConnectServer
from pyspark.errors import PySparkException
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_type
from pyspark.sql.types import DataType

NO_RESULT = pa.table({})
TOKEN = "dapi0123456789harness"  # never checked, and to be found nowhere but in the profile
NAME = r"(?P<name>[\w`]+(?:\.[\w`]+)*)"  # a relation, with any number of name parts
TEXT = r"'(?:[^'\\]|\\.)*'"


class Rule(NamedTuple):
    """A statement that the engine cannot take as it is, and what happens with it instead."""

    pattern: str  # `^` is the start after dbt's query comment, a blank is any white space
    action: "Callable[[DatabricksHarness, re.Match[str]], pa.Table | str]"  # an answer, or new SQL
    reason: str


# Each rule sees the SQL that the rules before it made. A statement that no rule matches goes to the
# engine unchanged.
RULES = (
    Rule(
        r"^set spark\.databricks\.clusterUsageTags\.sparkVersion$",
        lambda h, m: pa.table({"key": [m[0]], "value": [f"{h.dbr}.x-scala2.12"]}),
        "a cluster's tag, from which the adapter reads the runtime version",
    ),
    Rule(
        r"^use catalog `?(\w+)`?$",
        lambda h, m: h._use(m[1]),
        "the connections have one session of the engine, but each its own current catalog",
    ),
    Rule(
        r"(?:`?(\w+)`?\.)?`?\binformation_schema\b`?\.`?(\w+)`?",
        lambda h, m: m.re.sub(lambda part: h._information_schema(part[1], part[2]), m.string),
        "not in the engine: read from files that list the engine's real relations",
    ),
    Rule(
        r"([\w.`]+) is distinct from ([\w.`]+)",
        lambda h, m: m.re.sub(r"not (\1 <=> \2)", m.string),
        "the engine's planner contradicts itself about whether this can be NULL",
    ),
    Rule(
        rf"^(?:create (?:or replace )?|drop )(?P<kind>table|view) (?:if (?:not )?exists )?{NAME}",
        lambda h, m: h._check_kind(m),
        "the engine keeps a table and a view of the same name; Databricks refuses the second",
    ),
    Rule(
        rf"^(?P<create>create (?:or replace )?table (?!if not exists){NAME}) "
        rf"(?P<clauses>(?:{TEXT}|[^'])*?)\bas (?P<query>.*)",
        lambda h, m: h._create_table_as(m),
        "the engine takes no comment here, keeps the old columns when it replaces a table, and "
        "declares columns NOT NULL because the query has no NULL",
    ),
    Rule(
        rf"^describe (?:table )?extended {NAME} as json$",
        lambda h, m: h._describe_as_json(m["name"]),
        "unknown to the engine: made from its DESCRIBE TABLE",
    ),
    Rule(
        rf"^show tblproperties {NAME}$",
        lambda h, m: h._show_properties(m["name"]),
        "unknown to the engine: made from its SHOW TABLE EXTENDED",
    ),
    Rule(
        r"^show catalogs$",
        lambda h, m: pa.table({"catalog": sorted([*h.catalogs, *h.locked, "system"])}),
        "the engine has other columns, and neither `system` nor a catalog that may not be used",
    ),
    Rule(
        r"^show (?:schemas|databases)\b",
        lambda h, m: h._fetch(m.string).select([0]).rename_columns(["databaseName"]),
        "the engine has other columns than Databricks",
    ),
    Rule(
        r"^comment on (?:table|view|column) \S+ is |^alter table \S+ alter column \S+ comment ",
        lambda h, m: NO_RESULT,
        "the engine cannot change a comment: it is in `statements`, and has no other effect",
    ),
    Rule(
        rf"^alter table {NAME} (?:change|alter) column (?P<column>\S+) set not null",
        lambda h, m: (
            "select assert_true(count(*) = 0, 'NULL in {column}') from {name} "
            "where {column} is null".format(**m.groupdict())
        ),
        "the engine cannot alter a column: only the check that the statement makes at once is made",
    ),
    Rule(
        rf"^alter (?P<kind>table|view) {NAME} rename to (?P<to>\S+)$",
        lambda h, m: h._rename(m["kind"], m["name"], m["to"]),
        "the engine cannot rename: made of a copy and a drop",
    ),
    Rule(
        rf"^(?P<verb>grant|revoke) (?P<privilege>\w+) on {NAME} (?:to|from) (?P<who>\S+)$",
        lambda h, m: h._change_grants(m),
        "no privileges in the engine: kept by the harness",
    ),
    Rule(
        rf"^show grants on {NAME}$",
        lambda h, m: h._show_grants(m["name"]),
        "no privileges in the engine: those that the harness keeps",
    ),
)
# The engine would answer these, but not as Databricks does.
UNKNOWN_METADATA = re.compile(r"\b(information_schema|system)`?\.|^show\s+views\b", re.I)
QUERY = re.compile(r"[\s(]*(?:select|with|values|show|desc|describe|explain)\b", re.I)
LEADING_COMMENTS = re.compile(r"\A(?:\s+|/\*.*?\*/|--[^\n]*\n)*", re.S)

# The parts of information_schema that are read. All but schemata, tables and columns
# describe things that the engine does not have, and are always empty.
TABLE_KEY = "table_catalog table_schema table_name"
TAG_KEY = "catalog_name schema_name table_name"
CONSTRAINT_KEY = "constraint_catalog constraint_schema constraint_name"
INFORMATION_SCHEMA = {
    "schemata": "catalog_name schema_name",
    "tables": f"{TABLE_KEY} table_type data_source_format table_owner comment last_altered",
    "columns": f"{TABLE_KEY} column_name ordinal_position is_nullable full_data_type",
    "row_filters": f"{TABLE_KEY} filter_name target_columns",
    "column_masks": f"{TABLE_KEY} column_name mask_name using_columns",
    "table_tags": f"{TAG_KEY} tag_name tag_value",
    "column_tags": f"{TAG_KEY} column_name tag_name tag_value",
    "table_constraints": f"{CONSTRAINT_KEY} {TABLE_KEY} constraint_type",
    "key_column_usage": f"{CONSTRAINT_KEY} {TABLE_KEY} column_name ordinal_position",
    "referential_constraints": f"{CONSTRAINT_KEY} unique_constraint_catalog "
    "unique_constraint_schema unique_constraint_name",
}


class DatabricksHarness:
    """A Sail server with the given catalogs, and dbt commands whose adapter is connected to it.

    dbt writes its profile, target and logs into `workdir`; the tables are there too, until the
    harness is closed. Each dbt command is, for the adapter, a separate process.
    """

    def __init__(
        self,
        workdir: Path,
        catalogs: Sequence[str] = ("hive_metastore", "crm", "rds"),
        targets: Mapping[str, tuple[str, str]] | None = None,
        dbr: str = "16.4",
        locked: Sequence[str] = ("locked",),
    ) -> None:
        """Name the catalogs, the targets (catalog, schema; the first is the default), the DBR.

        The locked catalogs are shown, but any statement about their relations is refused.
        """
        self.workdir = workdir.resolve()
        self.catalogs = tuple(catalogs)
        self.targets = targets or {"prod": ("crm", "sfdc_dbx"), "dev": ("crm", "dbt_dev")}
        self.dbr = dbr
        self.locked = tuple(locked)
        #: The statements as the adapter sent them, with dbt's query comment.
        self.statements: list[str] = []
        #: Counts down: the n-th statement from now fails, once. The first of a dbt command asks
        #: for the runtime version, and the adapter does not mind when that fails.
        self.fail_at: int | None = None
        #: True if all statements after that one fail as well, until `fail_at` is None again: as
        #: far as the tables go, that is a dbt command that was killed.
        self.stays_down = False
        self._catalog = self.catalogs[0]
        self._grants: dict[str, set[tuple[str, str]]] = {}
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:  # closes all of it when a step fails
            self.workdir.mkdir(parents=True, exist_ok=True)
            self._data = stack.enter_context(TemporaryDirectory(dir=self.workdir))
            stack.callback(reset_adapters)
            with patch.dict(os.environ, self._environment()):
                server = SparkConnectServer("127.0.0.1", 0)
                server.start(background=True)
            stack.callback(server.stop)
            address = "{}:{}".format(*server.listening_address)
            self._spark = SparkSession.builder.remote(f"sc://{address}").create()
            stack.callback(self._spark.stop)
            self._spark.conf.set("spark.sql.session.timeZone", "UTC")
            self._spark.conf.set("spark.sql.warehouse.dir", self._data)
            self._write_profile()
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._resources.close()

    def _environment(self) -> dict[str, str]:
        entry = '{{name="{}", type="memory", initial_database=["default"]}}'
        return {
            "SAIL_CATALOG__LIST": f"[{', '.join(entry.format(name) for name in self.catalogs)}]",
            "SAIL_CATALOG__DEFAULT_CATALOG": f'"{self.catalogs[0]}"',
            "RUST_LOG": "error",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_PROFILES_DIR": str(self.workdir),
            "DBT_PROFILE": "harness",
            "DBT_TARGET_PATH": str(self.workdir / "target"),
            "DBT_LOG_PATH": str(self.workdir / "logs"),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
        }

    def _write_profile(self) -> None:
        connection = {
            "type": "databricks",
            # The adapter asks the host what kind it is, and goes on when nobody answers.
            "host": "127.0.0.1:1",
            # The path of a cluster: a warehouse would have no runtime version.
            "http_path": "sql/protocolv1/o/1/harness",
            "token": TOKEN,
            "threads": 1,
        }
        targets = self.targets.items()
        outputs = {name: connection | {"catalog": c, "schema": s} for name, (c, s) in targets}
        profile = {"harness": {"target": next(iter(outputs)), "outputs": outputs}}
        (self.workdir / "profiles.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")

    def dbt(self, *args: str, project_dir: Path) -> dbtRunnerResult:
        """Run a dbt command in the project's folder."""
        with self.connected(), contextlib.chdir(project_dir):
            return dbtRunner().invoke([*args])

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Let any code of this process that runs dbt run it on the harness."""
        # The adapter keeps the runtime's abilities until the process ends.
        DatabricksConnectionManager._dbr_capabilities_cache.clear()
        with (
            patch.dict(os.environ, self._environment()),
            patch("databricks.sql.connect", self._connect),
        ):
            yield

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as for the adapter, but off the record, and return its rows."""
        return _rows(self.arrow(statement))

    def arrow(self, statement: str) -> pa.Table:
        """Do the same, and return the rows as an Arrow table, which is faster for many."""
        with self._lock:
            return self._run(statement)

    def load_csv(self, name: str, path: Path, types: Mapping[str, str]) -> None:
        """Create or replace a Delta table, and its schema, from a CSV file with a header.

        Empty is NULL, booleans are true or false, timestamps are UTC, a column without a type is
        a string. A value that does not fit its type is an error.
        """
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv_reader(file))
        arrow = {c: to_arrow_type(DataType.fromDDL(types.get(c, "string"))) for c in header}
        stamps = [column for column, kind in arrow.items() if pa.types.is_timestamp(kind)]
        options = csv.ConvertOptions(
            column_types=arrow | dict.fromkeys(stamps, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            true_values=["true"],
            false_values=["false"],
        )
        multiline = csv.ParseOptions(newlines_in_values=True)
        table = csv.read_csv(path, parse_options=multiline, convert_options=options)
        for column in stamps:
            position = table.column_names.index(column)
            table = table.set_column(position, column, _timestamps(table[column], arrow[column]))
        self.load_arrow(name, table)

    def load_arrow(self, name: str, table: pa.Table) -> None:
        """Create or replace a Delta table, and its schema, from an Arrow table."""
        with self._lock:
            self._fetch(f"create schema if not exists {name.rpartition('.')[0]}")
            self._fetch(self._create(f"create or replace table {name}", table))

    def _connect(self, *, catalog: str, **_: object) -> "_Connection":
        return _Connection(self, catalog)

    def _execute(self, statement: str, connection: "_Connection") -> pa.Table:
        with self._lock:
            self.statements.append(statement)
            if self.fail_at is not None:
                self.fail_at -= 1
                if self.fail_at < 1:
                    self.fail_at = 1 if self.stays_down else None
                    raise _error("[HARNESS_FAULT] the failure asked for", statement)
            self._use(connection.catalog)
            result = self._run(statement)
            connection.catalog = self._catalog
            return result

    def _use(self, catalog: str) -> pa.Table:
        if catalog != self._catalog:
            self._spark.catalog.setCurrentCatalog(catalog)
            self._catalog = catalog
        return NO_RESULT

    def _run(self, statement: str) -> pa.Table:
        sql = LEADING_COMMENTS.sub("", statement).rstrip()
        if match := re.search(rf"`?\b({'|'.join(self.locked)})\b`?\.", sql, re.I):
            raise _error(f"[INSUFFICIENT_PERMISSIONS] USE CATALOG on {match[1]}", statement)
        try:
            for rule in RULES:
                pattern = rule.pattern.replace(" ", r"\s+")
                if match := re.search(pattern, sql, re.I | re.S):
                    result = rule.action(self, match)
                    if isinstance(result, pa.Table):
                        return result
                    sql = result
            if UNKNOWN_METADATA.search(sql):
                raise _error("[HARNESS] no rule for this metadata", statement)
            return self._fetch(sql)
        except PySparkException as error:
            raise _error(str(error), statement) from error

    def _fetch(self, sql: str) -> pa.Table:
        frame = self._spark.sql(sql)  # this runs a command, while a query runs when it is fetched
        return frame.toArrow() if QUERY.match(LEADING_COMMENTS.sub("", sql)) else NO_RESULT

    def _schemas(self, catalog: str) -> list[str]:
        return self._fetch(f"show schemas in `{catalog}`")[0].to_pylist()

    def _relations(self, catalog: str, schema: str, like: str = "*") -> Iterator[dict[str, Any]]:
        """Read what information_schema tells of a schema's relations, and a little more."""
        rows = self._fetch(f"show table extended in `{catalog}`.`{schema}` like '{like}'")
        for row in rows.to_pylist():
            if row["isTemporary"]:
                continue
            head, _, columns = row["information"].partition("\nSchema: root\n")
            query = re.search(r"^View Text: (.*?)(?:\nTable Properties: |\Z)", head, re.S | re.M)
            found = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
            log = Path(found.get("Location", ""), "_delta_log")
            yield {
                "table_catalog": catalog,
                "table_schema": schema,
                "table_name": row["tableName"].lower(),
                "table_type": found["Type"],
                "data_source_format": found.get("Provider", "").upper() or None,
                "table_owner": "harness",
                "comment": found.get("Comment"),
                "last_altered": log.stat().st_mtime_ns // 1000 if log.exists() else None,
                "query": query and query[1],
                "properties": found.get("Table Properties", "[]")[1:-1].split(", "),
                "columns": re.findall(r"^ \|-- (.*): (.*) \(nullable = (\w+)\)", columns, re.M),
            }

    def _information_schema(self, catalog: str | None, part: str) -> str:
        """Write a part of information_schema to a file, and return its name for the engine."""
        part = part.lower()
        if part not in INFORMATION_SCHEMA:
            return f"information_schema.{part}"  # which is refused
        catalogs = [catalog] if catalog in self.catalogs else self.catalogs
        rows: list[dict[str, Any]] = []
        if part == "schemata":
            shown = [c for c in catalogs if c != "hive_metastore"]
            rows = [{"catalog_name": c, "schema_name": s} for c in shown for s in self._schemas(c)]
        if part in ("tables", "columns"):
            places = [(c, schema) for c in catalogs for schema in self._schemas(c)]
            rows = [relation for place in places for relation in self._relations(*place)]
        if part == "columns":
            rows = [column for relation in rows for column in _columns(relation)]
        types = {"last_altered": pa.timestamp("us", "UTC"), "ordinal_position": pa.int32()}
        columns = INFORMATION_SCHEMA[part].split()
        schema = pa.schema([(column, types.get(column, pa.string())) for column in columns])
        return f"parquet.`{self._stage(pa.Table.from_pylist(rows, schema))}`"

    def _check_kind(self, match: re.Match[str]) -> str:
        wanted, parts = match["kind"].lower(), _parts(match["name"])
        if len(parts) == 3 and parts[1] in self._schemas(parts[0]):
            for relation in self._relations(*parts):
                if (kind := _kind(relation)) != wanted:
                    message = f"[WRONG_COMMAND_FOR_OBJECT_TYPE] {match['name']} is a {kind}"
                    raise _error(message, match.string)
            if wanted == "view" or match[0].lower().startswith("drop"):
                self._grants.pop(".".join(parts), None)  # only a replaced table keeps its grants
        return match.string

    def _create_table_as(self, match: re.Match[str]) -> str:
        clauses = re.sub(rf"\bcomment\s+{TEXT}", "", match["clauses"], flags=re.I)
        return self._create(match["create"], self._fetch(match["query"]), clauses)

    def _create(self, create: str, table: pa.Table, clauses: str = "using delta") -> str:
        file = self._stage(table)
        options = "options (overwriteSchema 'true')"
        return f"{create} {clauses} {options} as select * from parquet.`{file}`"

    def _stage(self, table: pa.Table) -> Path:
        """Write rows to where the engine can read them, every column one that may hold NULL."""
        file = Path(mkdtemp(dir=self._data), "stage.parquet")
        nullable = pa.schema([field.with_nullable(True) for field in table.schema])
        parquet.write_table(table.cast(nullable), file)
        return file

    def _describe_as_json(self, name: str) -> pa.Table:
        columns = [
            {"name": row["col_name"], "type": {"name": row["data_type"]}, "comment": row["comment"]}
            for row in self._fetch(f"describe table {name}").to_pylist()
        ]
        return pa.table({"json_metadata": [json.dumps({"columns": columns})]})

    def _show_properties(self, name: str) -> pa.Table:
        (relation,) = self._relations(*_parts(name))
        pairs = [pair.partition("=")[::2] for pair in relation["properties"] if pair]
        return _table(["key", "value"], [pair for pair in pairs if "option." not in pair[0]])

    def _rename(self, kind: str, name: str, to: str) -> pa.Table:
        if kind.lower() == "view":
            (view,) = self._relations(*_parts(name))
            self._fetch(f"create view {to} as {view['query']}")
        else:
            self._fetch(self._create(f"create table {to}", self._fetch(f"select * from {name}")))
        self._fetch(f"drop {kind} {name}")
        self._grants[".".join(_parts(to))] = self._grants.pop(".".join(_parts(name)), set())
        return NO_RESULT

    def _change_grants(self, match: re.Match[str]) -> pa.Table:
        grants = self._grants.setdefault(".".join(_parts(match["name"])), set())
        change = grants.add if match["verb"].lower() == "grant" else grants.discard
        change((match["who"].strip("`"), match["privilege"].upper()))
        return NO_RESULT

    def _show_grants(self, name: str) -> pa.Table:
        grants = self._grants.get(".".join(_parts(name)), set())
        rows = [(who, privilege, "TABLE", name) for who, privilege in sorted(grants)]
        return _table(["Principal", "ActionType", "ObjectType", "ObjectKey"], rows)


class _Connection:
    """A connection and, as the adapter never has two of one connection, also its cursor."""

    query_id = "harness"

    def __init__(self, harness: DatabricksHarness, catalog: str) -> None:
        self.harness = harness
        self.catalog = catalog
        self.close()

    @property
    def connection(self) -> Self:
        return self

    def get_session_id_hex(self) -> str:
        return f"{id(self):x}"

    def cursor(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget the result; the session belongs to the harness."""
        self._set_result(NO_RESULT)

    def cancel(self) -> None:
        """Do nothing: a statement has ended when the adapter gets the cursor."""

    def execute(self, operation: str, parameters: Sequence[Any] | None = None) -> Self:
        if parameters:
            raise NotImplementedError(f"the harness binds no parameters: {operation}")
        return self._set_result(self.harness._execute(operation, self))

    def tables(self, catalog_name: str, schema_name: str) -> Self:
        relations = self.harness._relations(catalog_name, schema_name)
        rows = [(r["table_name"], _kind(r).upper()) for r in relations]
        return self._set_result(_table(["TABLE_NAME", "TABLE_TYPE"], rows))

    def _set_result(self, table: pa.Table) -> Self:
        self._rows = iter(_rows(table))
        fields = [(field.name, _type_name(field.type)) for field in table.schema]
        self.description = [(*field, None, None, None, None, None) for field in fields]
        return self

    def fetchall(self) -> list[Row]:
        return list(self._rows)

    def fetchmany(self, size: int) -> list[Row]:
        return list(itertools.islice(self._rows, size))

    def fetchone(self) -> Row | None:
        return next(self._rows, None)


def _rows(table: pa.Table) -> list[Row]:
    row = Row(*table.column_names) if table.column_names else Row
    return [row(*values) for values in zip(*(c.to_pylist() for c in table.columns), strict=True)]


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> pa.Table:
    return pa.table({n: pa.array([row[i] for row in rows], "string") for i, n in enumerate(names)})


def _columns(relation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for position, (name, data_type, nullable) in enumerate(relation["columns"]):
        facts = {"column_name": name, "full_data_type": data_type, "ordinal_position": position}
        yield {**relation, **facts, "is_nullable": "YES" if nullable == "true" else "NO"}


def _kind(relation: Mapping[str, Any]) -> str:
    return "view" if relation["table_type"] == "VIEW" else "table"


def _parts(name: str) -> list[str]:
    return name.replace("`", "").lower().split(".")


def _error(message: str, statement: str) -> ServerOperationError:
    return ServerOperationError(f"{message}\nin the statement:\n{statement}")


def _type_name(arrow_type: pa.DataType) -> str:
    """Name a type as the connector does: without its parameters."""
    name = from_arrow_type(arrow_type, prefer_timestamp_ntz=True).simpleString()
    return re.sub(r"[<(].*", "", name)


def _timestamps(column: pa.ChunkedArray, arrow_type: pa.DataType) -> pa.ChunkedArray:
    """Read timestamps that say that they are UTC, or nothing; any other zone is an error."""
    text = compute.replace_substring_regex(column, r"\s*(Z|UTC|[+-]00(:?00)?)$", "")
    naive = text.cast(pa.timestamp("us"))
    return compute.assume_timezone(naive, arrow_type.tz) if arrow_type.tz else naive
