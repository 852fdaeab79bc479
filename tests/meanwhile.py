"""Real interleavings: something happens just before a request says something to the real database.

The request runs in the thread of the test; what happens meanwhile runs in one of its own, because two requests
cannot be made one inside the other. Nothing of ours is replaced: the events of the driver say when it is time.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from app.foundation.sql import Database

WRITING = "BEGIN IMMEDIATE"  # what SQLite is told at the beginning of a writing transaction, before it has the lock


@contextmanager
def before_saying(database: Database, beginning: str, deed: Callable[[], object], number: int = 1) -> Iterator[None]:
    """Do something once, before this thread says the statement of that number that begins so. It has to come to it."""
    here, failed = threading.get_ident(), list[BaseException]()
    said = 0

    def do() -> None:
        try:
            deed()
        except BaseException as error:  # noqa: BLE001 - raised again below, where pytest sees it
            failed.append(error)

    def says(_connection: Any, _cursor: Any, sql: str, given: Any, *_: Any) -> tuple[str, Any]:
        nonlocal said
        if threading.get_ident() == here and sql.startswith(beginning):
            said += 1
            if said == number:
                other = threading.Thread(target=do)
                other.start()
                other.join()
        return sql, given

    event.listen(database.engine, "before_cursor_execute", says, retval=True)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", says)
    if failed:
        raise failed[0]
    assert said >= number, f"{beginning!r} was said {said} times"


@contextmanager
def before_writing(database: Database, deed: Callable[[], object], number: int = 1) -> Iterator[None]:
    """The same before the writing transaction of that number begins, on SQLite."""
    with before_saying(database, WRITING, deed, number):
        yield


@contextmanager
def dying_before(database: Database, beginning: str, number: int = 1) -> Iterator[None]:
    """This thread ends as a killed process does, before it says the statement of that number that begins so."""
    here = threading.get_ident()
    said = 0

    def says(_connection: Any, _cursor: Any, sql: str, given: Any, *_: Any) -> tuple[str, Any]:
        nonlocal said
        if threading.get_ident() == here and sql.startswith(beginning):
            said += 1
            if said == number:
                raise KeyboardInterrupt
        return sql, given

    event.listen(database.engine, "before_cursor_execute", says, retval=True)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", says)
