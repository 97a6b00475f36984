"""Append-only records, each row chained to the one before it by its hash: the ledger, and votes of raters.

The ledger tells of every opening, refusal and release. Rows live in a database through SQLAlchemy: a file (SQLite) by
default, or any URL such as ``postgresql+psycopg://...``.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from personare.core.errors import DataError, PolicyError, data_errors

GENESIS = "0" * 64
"""What the first row is chained to."""

_GIVEN = ("who", "cohort", "subject", "recording", "track", "purpose")
_CONTENT = ("sequence", "time", "action", *_GIVEN, "detail")
LEDGER_COLUMNS = (*_CONTENT, "prev_hash", "hash")
_WRITES = "personare_writes"
_NOW = partial(datetime.now, UTC)  # no lambda: another process may open the same ledger
_LOCK = 7_377_001  # any number that all writers of a database share
_PATIENCE_S = 60  # how long one process waits for another to finish its transaction


class Verification(NamedTuple):
    """What checking the chain found: whether it is whole, how many rows it has, the number of the first bad one."""

    ok: bool
    rows: int
    first_bad: int | None


class Ledger:
    """Writes and checks the chain.

    **Guarantee**: rows are only ever added, but by ``erase``; all rows of one call appear together or not at all;
    several processes may write at once; ``verify`` finds every change, removal, insertion or move of a row that has a
    row after it, and with a ``head`` that was noted elsewhere (on paper, in a mail) also rows cut off the end, without
    which the chain is whole in itself. ``who`` is written in every row that does not say otherwise; ``table`` names
    another chain than the ledger, which may lie in the same database.
    """

    def __init__(
        self,
        url_or_path: str | Path,
        *,
        who: str = "local",
        clock: Callable[[], datetime] = _NOW,
        table: Literal["ledger", "votes"] = "ledger",
    ) -> None:
        self._address = text = str(url_or_path)
        self._name = table
        self._table = sa.Table(
            table,
            sa.MetaData(),
            sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
            *(sa.Column(name, sa.Text, nullable=False) for name in LEDGER_COLUMNS[1:]),
        )
        self._file = None if "://" in text else Path(text)
        self._who, self._clock = who, clock
        try:
            url = sa.make_url(text) if self._file is None else sa.URL.create("sqlite", database=text)
            # NullPool: no connection outlives its use, so nothing stays open and a fork inherits nothing.
            options = {"timeout": _PATIENCE_S} if url.get_backend_name() == "sqlite" else {}
            self._engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=options)
        except (SQLAlchemyError, ImportError) as error:
            raise DataError(f"The ledger {text} must be a file or a database URL: {error}.") from error
        if url.get_backend_name() == "sqlite":
            # SQLite is locked at the start of a write, so that two processes never read the same last row
            sa.event.listen(self._engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
            sa.event.listen(self._engine, "begin", _begin)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process open the same ledger."""
        address = self._address if self._file is None else self._file.resolve()
        return partial(Ledger, who=self._who, clock=self._clock, table=self._name), (address,)

    @property
    def is_file(self) -> bool:
        """Whether it is a file (SQLite), which one machine alone may write."""
        return bool(self._engine.url.get_backend_name() == "sqlite")

    def append(
        self, action: str, rows: Sequence[Mapping[str, Any]], *, after: str | None = None
    ) -> list[dict[str, Any]]:
        """Add rows in one transaction, all or none, of what happened: ``opened``, ``refused``, ``released`` ...

        A row has any of ``who``, ``cohort``, ``subject``, ``recording``, ``track``, ``purpose`` and ``detail`` (a
        mapping); every other key goes into ``detail``. Returns the rows as written; none where the last row is not the
        one with the hash ``after``, so that who decided by an older state looks again.
        """
        if not rows:
            return []
        if self._file is not None:
            with data_errors(f"The ledger's folder {self._file.parent} cannot be made", "Give one you may write."):
                self._file.parent.mkdir(parents=True, exist_ok=True)
        time = self._clock().astimezone(UTC).isoformat(timespec="microseconds")
        with self._transaction(write=True) as connection:
            sequence, previous = self._last(connection)
            if after not in (None, previous):
                return []
            entries = _chained([self._entry(time, action, row) for row in rows], sequence, previous)
            connection.execute(sa.insert(self._table), entries)
        return entries

    def erase(self, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Write the chain anew, each row as ``change`` returns it or, where that is None, not at all.

        **Guarantee**: all of it or nothing; a row ``erased`` then says how many rows went or were changed, when, and as
        ``was`` the head that the chain had before; the file (SQLite) or the table (PostgreSQL) holds no byte of what
        went. A database's own log and copies of it are beyond reach.
        """
        time = self._clock().astimezone(UTC).isoformat(timespec="microseconds")
        with self._transaction(write=True) as connection:
            ordered = sa.select(self._table).order_by(self._table.c.sequence)
            rows = [dict(row) for row in connection.execute(ordered).mappings()]
            changed = [change(dict(row)) for row in rows]
            gone = sum(new != row for new, row in zip(changed, rows, strict=True))
            note = self._entry(time, "erased", {"rows": gone, "was": self._last(connection)[1]})
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")  # where the process is killed before VACUUM
                connection.exec_driver_sql(f"DROP TRIGGER {self._name}_no_delete")
            connection.execute(sa.delete(self._table))
            chain = _chained([*filter(None, changed), note], 0, GENESIS)
            connection.execute(sa.insert(self._table), chain)
        with self._errors("written"), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as last:
            last.exec_driver_sql("VACUUM FULL" if last.dialect.name == "postgresql" else "VACUUM")

    def exists(self) -> bool:
        """Return whether anything was ever written; a kill at the first row leaves a file without its table."""
        if self._file is not None and not self._file.is_file():
            return False
        with self._errors("read"):
            return sa.inspect(self._engine).has_table(self._name)

    def head(self) -> str:
        """Return the hash of the last row; noted elsewhere, it lets ``verify`` see whether later rows are missing."""
        with self._transaction() as connection:
            return self._last(connection)[1]

    def verify(self, *, head: str | None = None) -> Verification:
        """Check every row against its hash, its place and the row before it; a noted ``head`` must be in the chain."""
        count, previous, seen = 0, GENESIS, {GENESIS}
        with self._transaction() as connection:
            for row in connection.execute(sa.select(self._table).order_by(self._table.c.sequence)).mappings():
                count += 1
                good = row["sequence"] == count and row["prev_hash"] == previous
                if not good or row["hash"] != _digest(row, previous):
                    rows = connection.execute(sa.select(sa.func.count()).select_from(self._table)).scalar_one()
                    return Verification(ok=False, rows=int(rows), first_bad=int(row["sequence"]))
                previous = row["hash"]
                seen.add(previous)
        whole = head is None or head in seen
        return Verification(ok=whole, rows=count, first_bad=None if whole else count + 1)

    def check_clock(self, today: date) -> None:
        """Refuse a day before that of any row: with a clock set back, what has ended would seem to hold."""
        if not self.exists():
            return
        with self._transaction() as connection:
            latest = str(connection.execute(sa.select(sa.func.max(self._table.c.time))).scalar_one() or "")[:10]
        if latest > today.isoformat():
            raise PolicyError(
                f"The clock says {today}, but the ledger has a row of {latest}. Set the clock right; until then "
                "nothing is opened and no consent is recorded."
            )

    def rows(self, limit: int | None = None, *, start: int = 1, action: str = "") -> pd.DataFrame:
        """Return the rows from ``start`` on, or the last ``limit`` of them, oldest first; ``detail`` is JSON text.

        With an ``action``, only rows of what happened so.
        """
        order = self._table.c.sequence
        asked = [order >= start, *([self._table.c.action == action] if action else [])]
        newest_first = sa.select(self._table).where(*asked).order_by(order.desc()).limit(limit)
        with self._transaction() as connection:
            rows = [dict(row) for row in connection.execute(newest_first).mappings()]
        return pd.DataFrame(rows[::-1], columns=list(LEDGER_COLUMNS))

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        if not write and self._file is not None and not self._file.is_file():
            raise DataError(
                f"There is no {self._name} at {self._file}. It is made when the first row is written; if it was there "
                "before, somebody removed it: restore it from a copy."
            )
        with (
            self._errors("written" if write else "read"),
            self._engine.connect().execution_options(**{_WRITES: write}) as connection,
            connection.begin(),
        ):
            if write:
                _hold_the_chain(connection, self._table)
            yield connection

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise DataError(
                f"The {self._name} {self._address} could not be {what}: {error}. "
                "Nothing is opened without it; free the disk, or give a ledger that can be written."
            ) from error

    def _last(self, connection: sa.Connection) -> tuple[int, str]:
        order = self._table.c.sequence
        row = connection.execute(sa.select(order, self._table.c.hash).order_by(order.desc()).limit(1)).first()
        return (int(row[0]), str(row[1])) if row else (0, GENESIS)

    def _entry(self, time: str, action: str, row: Mapping[str, Any]) -> dict[str, Any]:
        entry: dict[str, Any] = {name: _storable(str(row.get(name) or "")) for name in _GIVEN}
        extra = {key: value for key, value in row.items() if key not in _GIVEN and key != "detail"}
        detail = _canonical({**(row.get("detail") or {}), **extra})
        return entry | {"who": entry["who"] or self._who, "detail": detail, "time": time, "action": action}


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES) else "BEGIN")


def _hold_the_chain(connection: sa.Connection, table: sa.Table) -> None:
    """Hold the chain for this transaction, and make the table if it is the first."""
    if connection.dialect.name == "postgresql":
        # An advisory lock, because the table may not be there to be locked; SQLite locked at BEGIN IMMEDIATE.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
    if connection.dialect.name == "sqlite":
        # Not the proof (a file can be edited without SQLite), but it stops a careless UPDATE or DELETE.
        for verb in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS {table.name}_no_{verb.lower()} BEFORE {verb} ON {table.name} "
                f"BEGIN SELECT RAISE(ABORT, 'the {table.name} table is append-only'); END"
            )


def _chained(entries: Iterable[Mapping[str, Any]], sequence: int, previous: str) -> list[dict[str, Any]]:
    """Return rows with their number, and their hash after that of the row before."""
    chained = []
    for number, entry in enumerate(entries, start=sequence + 1):
        row = {**entry, "sequence": number, "prev_hash": previous}
        row["hash"] = previous = _digest(row, previous)
        chained.append(row)
    return chained


def _digest(entry: Mapping[Any, Any], previous: str) -> str:
    content = {name: entry[name] for name in _CONTENT} | {"prev_hash": previous}
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def _canonical(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return _storable(text)


def _storable(text: str) -> str:
    """Return text that any database takes: bytes of file names that are no UTF-8 are written out as escapes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
