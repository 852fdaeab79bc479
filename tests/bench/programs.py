"""What a relying program's question about a token costs, beside a bare Flask page on the same server.

``python -m tests.bench.programs`` measures that alone.
"""

import base64
import json
import statistics
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

from tests.bench import serving
from tests.bench.seed import PASSWORD, Somebody
from tests.bench.serving import Running
from tests.bench.walk import Line

_FORM = "application/x-www-form-urlencoded"


def introspection(portal: Running, plain: Running, environ: Mapping[str, str], *, rounds: int, each: int) -> float:
    """How many times the CPU of a bare page introspection takes: the median over alternating windows."""
    serving.keyturn(environ, "org", "policy", "default", "--set", "authenticate_user=true")
    made = json.loads(serving.said(environ, "api-client", "create", "Bench", "--json"))
    given = base64.b64encode(f"{made['client_id']}:{made['client_secret']}".encode()).decode()
    ours, theirs = Line(portal.address), Line(plain.address)
    asked = json.dumps({"user_name": Somebody(1).user_id, "password": PASSWORD}).encode()
    reply = ours.ask("POST", "/api/v1/authenticate-user", {"Content-Type": "application/json"}, asked)[2]
    body = urlencode({"token": json.loads(reply)["authentication_token"]}).encode()
    headers = {"Content-Type": _FORM, "Authorization": f"Basic {given}"}

    def ask() -> None:
        status, _, said = ours.ask("POST", "/api/v1/tokens/introspect", headers, body)
        if status != 200 or not json.loads(said)["active"]:
            raise RuntimeError(said.decode())

    def window(running: Running, request: object) -> float:
        before = running.used()
        for _ in range(each):
            request()  # type: ignore[operator]
        return (running.used() - before).requests

    ratios = []
    for number in range(rounds + 1):
        bare = window(plain, lambda: theirs.ask("GET", "/", {}))
        ratio = window(portal, ask) / bare
        if number:  # the first one warms up
            ratios.append(ratio)
    return statistics.median(ratios)


def main() -> None:
    """Measure it alone."""
    from tests.bench import measures
    from tests.bench.walk import Handsets
    from tests.edges import Mailbox

    with tempfile.TemporaryDirectory(prefix="kt-bench-", dir="/tmp") as folder, ExitStack() as stack:
        phone, mailbox = stack.enter_context(Handsets()), stack.enter_context(Mailbox())
        environ = measures.prepared(Path(folder) / "few", phone, mailbox, 1_000, WORKERS=1)
        running, _ = stack.enter_context(serving.portal(environ))
        plain = stack.enter_context(serving.plain_page(Path(folder)))
        ratio = introspection(running, plain, environ, rounds=9, each=400)
        print(f"introspection: {ratio:.2f} x the bare Flask page (goal: at most 1.5)")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
