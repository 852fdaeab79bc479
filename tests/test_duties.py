"""The duties of the worker beside sending."""

import threading

from sqlalchemy import text
from structlog.testing import capture_logs

from app import wiring
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from tests.edges import wait_until
from tests.portal import Portal


def test_a_duty_that_breaks_goes_on_and_keeps_no_other_from_being_done(one_portal: Portal) -> None:
    """A table is gone that one of them reads."""
    base, stop = one_portal.base, threading.Event()
    with base.database.begin() as transaction:
        transaction.execute(text("DROP TABLE policy_notices"))
        audit.add(transaction, Record(Event.PIN_SENT, base.clock.now(), None, "self", "success"))

    def sealed() -> bool:
        with base.database.read() as looking:
            return audit.newest_seal(looking) is not None

    with capture_logs() as logged:
        worker = threading.Thread(target=wiring.run_worker, args=(base, stop))
        worker.start()
        try:
            wait_until(lambda: "duty_failed" in {line["event"] for line in logged}, 60, lambda: "nothing is said")
            wait_until(sealed, 60, lambda: "nothing is sealed")
            assert "tell" in {thread.name for thread in threading.enumerate()}
        finally:
            stop.set()
            worker.join()
