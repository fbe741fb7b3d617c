"""Connections to the file of the index."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from server.library.database import Database, OutdatedError

COUNT = "SELECT count(*) FROM days"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(tmp_path / "a file with spaces, #, ? and %41.sqlite")
    database.create()
    return database


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(COUNT).fetchone()[0])


def put(database: Database, day: str) -> None:
    with database.write() as connection:
        connection.execute("INSERT INTO days VALUES (?, 0)", (day,))


def test_what_is_written_is_there_after_it_was_closed(database: Database) -> None:
    put(database, "20261122")
    database.close()

    again = Database(database.path)
    again.open()

    assert count(again) == 1
    assert database.path.exists()


def test_closing_leaves_one_file(database: Database) -> None:
    put(database, "20261122")
    assert count(database) == 1

    database.close()

    assert list(database.path.parent.iterdir()) == [database.path]


def test_of_a_transaction_that_fails_nothing_is_left(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute("INSERT INTO days VALUES ('20261122', 0)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert count(database) == 0
    put(database, "20261122")
    assert count(database) == 1


def test_reading_does_not_wait_for_writing(database: Database) -> None:
    with database.write() as connection:
        connection.execute("INSERT INTO days VALUES ('20261122', 0)")
        assert count(database) == 0
    assert count(database) == 1


def test_reads_at_once_have_a_connection_each(database: Database) -> None:
    with database.read() as one, database.read() as other:
        assert one is not other
    with database.read() as again:
        assert again in (one, other)


def test_a_connection_to_a_file_that_was_exchanged_is_not_used_again(
    database: Database,
) -> None:
    put(database, "20261122")
    with database.read():
        database.create()
    assert count(database) == 0
    put(database, "20261123")
    assert count(database) == 1


def test_writers_take_turns(database: Database) -> None:
    threads = [
        threading.Thread(target=put, args=(database, f"{day:08}")) for day in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert count(database) == 20


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_what_is_no_index_of_this_version_is_told(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "index"
    path.write_bytes(content)

    with pytest.raises(sqlite3.DatabaseError):
        Database(path).open()


def test_a_version_is_told_from_damage(database: Database) -> None:
    with database.write() as connection:
        connection.execute("PRAGMA user_version = 1")
    database.close()

    with pytest.raises(OutdatedError):
        Database(database.path).open()


def test_read_only_writes_nothing(database: Database) -> None:
    reader = Database(database.path, is_read_only=True)
    reader.open()

    assert count(reader) == 0
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        put(reader, "20261122")
