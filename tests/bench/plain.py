"""The yardstick for pages: a bare Flask page, one Jinja template and one SQLite read, on the portal's own server.

``python -m tests.bench.plain HOST:PORT FILE`` serves it; FILE is where the database is made.
"""

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from flask import Flask, render_template
from jinja2 import DictLoader

from app.foundation.web.server import serve

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title></head>
<body><h1>{{ title }}</h1>
<ul>{% for name, value in rows %}<li>{{ name }}: {{ value }}</li>{% endfor %}</ul></body></html>
"""


def make(file: str) -> None:
    """The database: one table of a thousand rows."""
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL, value TEXT NOT NULL)")
        connection.executemany(
            "INSERT INTO things VALUES (?, ?, ?)", [(n, f"name {n}", "x" * 40) for n in range(1_000)]
        )
    connection.close()


def factory(file: str) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """The application."""
    app = Flask("plain")
    app.jinja_loader = DictLoader({"page.html": _TEMPLATE})  # compiled once, unlike a string
    held = threading.local()

    @app.get("/")
    def page() -> str:
        if not hasattr(held, "connection"):
            held.connection = sqlite3.connect(file)
        rows = held.connection.execute("SELECT name, value FROM things WHERE id = ?", (500,)).fetchall()
        return render_template("page.html", title="A page", rows=rows)

    return app


if __name__ == "__main__":
    make(sys.argv[2])
    sys.exit(serve(partial(factory, sys.argv[2]), bind=sys.argv[1], workers=1))
