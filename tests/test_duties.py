"""The duties of the worker beside sending."""

import threading

from sqlalchemy import insert
from structlog.testing import capture_logs

from app import wiring
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.organizations.store import policies, policy_notices
from tests.cast import organization
from tests.edges import wait_until
from tests.portal import Portal


def test_a_duty_that_breaks_goes_on_and_keeps_no_other_from_being_done(one_portal: Portal) -> None:
    """What one of them reads is no policy."""
    base, stop = one_portal.base, threading.Event()
    with base.database.begin() as transaction:
        home = organization(transaction, base.chance).id
        policy = {"organization_id": home, "number": 1, "body": "{", "made_at": 1, "made_by": "ada", "holds_from": 1}
        transaction.execute(insert(policies).values(policy))
        transaction.execute(insert(policy_notices).values(organization_id=home, number=1, told_upto=0, by_sms=False))
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
            assert {"tell", "expire"} <= {thread.name for thread in threading.enumerate()}
        finally:
            stop.set()
            worker.join()
