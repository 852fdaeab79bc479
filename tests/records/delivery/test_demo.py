"""The demo's phone and mailbox: nothing leaves this machine, and failures can be had on request."""

import pytest

from app.records.delivery.channels import build
from app.records.delivery.channels.letters import Letters
from app.records.delivery.worker import Worker
from app.records.people.model import Contact
from tests.edges import Phone, pin_in
from tests.hands import HandClock
from tests.records.delivery.parts import ADDRESS, NUMBER, House, drain, lookup, settings


class Drawer:
    """An inbox in memory; the demo keeps its own in the ephemeral store."""

    def __init__(self) -> None:
        self.messages: list[dict[str, object]] = []
        self.wanted = ""

    def append(self, message: dict[str, object]) -> None:
        self.messages.append(message)

    def trouble(self, _channel: str) -> str:
        return self.wanted


def demo(house: House, drawer: Drawer, phone: Phone) -> Worker:
    world = settings(sms=phone.base)
    channels = build(world, house.clock, inbox=drawer)
    return Worker(
        house.database,
        house.keyring,
        house.chance,
        house.clock,
        channels=channels,
        letters=Letters(world),
        lookup=lookup,
    )


def test_messages_lie_in_the_drawer_and_nowhere_else(sqlite_house: House, phone: Phone, clock: HandClock) -> None:
    house, drawer = sqlite_house, Drawer()
    sms, mail = house.pin(house.phone, "482913"), house.pin(house.mail, "48291355", life=600)
    drain(demo(house, drawer, phone))
    assert [(one["channel"], one["to"], one["at"]) for one in drawer.messages] == [
        ("sms", NUMBER, clock.now()),
        ("email", ADDRESS, clock.now()),
    ]
    assert [pin_in(str(one["text"])) for one in drawer.messages] == ["482913", "48291355"]
    assert [one["subject"] for one in drawer.messages] == ["", "Your one-time PIN for Keyturn"]
    assert (house.state(sms), house.state(mail)) == (("sent", ""), ("sent", ""))
    assert phone.posts == 0


def test_each_sms_is_delivered_by_its_own_report(sqlite_house: House, phone: Phone, clock: HandClock) -> None:
    house, drawer = sqlite_house, Drawer()
    sender = demo(house, drawer, phone)
    first = house.pin(house.phone)
    drain(sender)
    clock.advance(2)
    second = house.pin(house.phone)
    drain(sender)
    clock.advance(1)
    drain(sender)
    assert (house.state(first)[0], house.state(second)[0]) == ("delivered", "sent")
    clock.advance(2)
    drain(sender)
    assert house.state(second)[0] == "delivered"


@pytest.mark.parametrize(
    ("trouble", "state"), [("permanent", "failed"), ("temporary", "queued"), ("unknown", "unknown")]
)
def test_a_failure_can_be_had_on_request(sqlite_house: House, phone: Phone, trouble: str, state: str) -> None:
    house, drawer = sqlite_house, Drawer()
    drawer.wanted = trouble
    contact: Contact = house.phone
    outbox_id = house.pin(contact)
    drain(demo(house, drawer, phone))
    assert house.state(outbox_id) == (state, "demo")
    assert drawer.messages == []
