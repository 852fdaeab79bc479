"""The PIN that tells the truth, and goes only where it may (product.md 7.1; requirements B, T-20, T-21)."""

import json
import re

import pytest
from sqlalchemy import update

from app.factors.pin.service import Pins
from app.records.attempts.model import Door
from app.records.organizations.model import PinPolicy
from app.records.people import store as people
from app.records.people.model import Channel, Contact
from tests.edges import refuse
from tests.journeys import behind
from tests.journeys.behind import RECOVERY
from tests.portal import opened

PHONE = "+491700000001"
EMAIL = "jane@example.org"
PIN, SEND, NEW, STATUS = "/recovery/pin", "/recovery/pin/send", "/recovery/password", "/recovery/pin/status"


def jane(portal, **contacts):
    return portal.add("jane", **(contacts or {"phone": PHONE, "email": EMAIL}))


def at_pin(portal, user_id="jane", address="192.0.2.10"):
    browser = portal.browser(REMOTE_ADDR=address)
    browser.recover_to_pin(portal, user_id)
    return browser


def delivered(portal):
    portal.deliver()
    return behind.pins_by_sms(portal, PHONE)[-1]


def another(pin: str) -> str:
    """A PIN of the same length that is not this one."""
    return f"{(int(pin) + 1) % 10 ** len(pin):0{len(pin)}d}"


# ---- what the page and its status say


def test_the_status_follows_the_message_from_queued_over_sent_to_delivered(one_portal):
    jane(one_portal)
    browser = at_pin(one_portal)
    assert browser.get(STATUS).json == {
        "channel": "sms",
        "destination": "••• ••• 01",
        "state": "queued",
        "resend_in": 30,
        "expires_in": 300,
        "tries_left": 5,
    }
    one_portal.deliver()
    assert browser.get(STATUS).json["state"] == "sent"
    one_portal.phone.tell(one_portal.phone.texts[0].sid, "delivered")
    one_portal.base.clock.advance(10)
    one_portal.deliver()
    told = browser.get(STATUS)
    assert (told.json["state"], told.json["resend_in"], told.json["expires_in"]) == ("delivered", 20, 290)
    assert told.headers["Cache-Control"] == "no-store"
    # without JavaScript a reload tells the same
    page = browser.get(PIN).text
    assert 'data-state="delivered"' in page
    assert 'data-destination="••• ••• 01"' in page
    assert 'data-clock="290"' in page
    assert re.search(r"data-tries>5<", page)


def test_a_carrier_that_cannot_deliver_is_told_and_the_other_channel_offered_first(one_portal):
    jane(one_portal)
    browser = at_pin(one_portal)
    one_portal.deliver()
    one_portal.phone.tell(one_portal.phone.texts[0].sid, "undelivered", 30003)
    one_portal.base.clock.advance(10)
    one_portal.deliver()
    assert browser.get(STATUS).json["state"] == "failed"
    page = browser.get(PIN).text
    assert page.index("Alternative Authentication") < page.index('action="/recovery/pin"')
    assert 'name="channel" value="email"' in page
    assert browser.post(SEND, channel="email").status_code == 303
    assert browser.get(STATUS).json["channel"] == "email"


def test_a_number_that_is_refused_at_once_offers_the_other_channel_without_a_wait(one_portal):
    jane(one_portal)
    one_portal.phone.plan(refuse(400, 21610))
    browser = at_pin(one_portal)
    one_portal.deliver()
    assert browser.get(STATUS).json["state"] == "failed"
    assert browser.post(SEND, channel="email").status_code == 303
    one_portal.deliver()
    assert browser.post(PIN, pin=behind.pins_by_email(one_portal, EMAIL)[-1]).location == NEW


def test_a_wrong_pin_tells_the_tries_that_are_left(one_portal):
    jane(one_portal)
    browser = at_pin(one_portal)
    right = delivered(one_portal)
    for left in (4, 3, 2, 1):
        answer = browser.post(PIN, pin=another(right))
        assert answer.status_code == 422
        assert f"data-tries>{left}<" in answer.text
        assert browser.get(STATUS).json["tries_left"] == left
    assert browser.post(PIN, pin=right).location == NEW


def test_after_the_fifth_wrong_pin_the_right_one_is_of_no_use(portal):
    jane(portal)
    browser = at_pin(portal)
    right = delivered(portal)
    answers = [browser.post(PIN, pin=another(right)).status_code for _ in range(5)]
    assert answers == [422, 422, 422, 422, 409]
    assert browser.post(PIN, pin=right).status_code == 409
    assert browser.post(SEND, channel="email").status_code == 409
    assert browser.get(NEW).location == "/recovery"


def test_what_is_no_pin_costs_no_try_and_grouped_digits_are_one(one_portal):
    """Requirements B-11 and T-22: ASCII digits, blanks and hyphens between them ignored."""
    jane(one_portal)
    browser = at_pin(one_portal)
    right = delivered(one_portal)
    one_portal.add("omar", phone="+491700000002")
    odd = ["", "   ", "12345", "123456789", "abcdef", "12345\x00", "1" * 60_000]
    # full-width, Arabic-Indic and superscript digits
    odd += [behind.full_width("123456"), "\u0661" * 6, "\u00b9\u00b2\u00b3" * 2]
    for typed in odd:
        answer = browser.post(PIN, pin=typed)
        assert answer.status_code == 422, typed[:12]
    assert browser.get(STATUS).json["tries_left"] == 5
    assert browser.post(PIN, pin=f" {right[:3]}-{right[3:]} ").location == NEW


# ---- asking again


def test_another_pin_may_be_asked_for_after_30_then_60_then_120_seconds(one_portal):
    jane(one_portal)
    browser = at_pin(one_portal)
    clock = one_portal.base.clock
    for wait in (30, 60):
        clock.advance(wait - 1)
        answer = browser.post(SEND, channel="sms")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        clock.advance(1)
        assert browser.post(SEND, channel="sms").status_code == 303
    assert browser.get(STATUS).json["resend_in"] == 120
    clock.advance(119)
    assert browser.post(SEND, channel="sms").headers["Retry-After"] == "1"
    assert len(behind.queued(one_portal)) == 3


def test_only_the_first_switch_of_channel_is_free_of_waiting(one_portal):
    jane(one_portal)
    browser = at_pin(one_portal)
    assert browser.post(SEND, channel="email").status_code == 303
    assert browser.get(STATUS).json["channel"] == "email"
    answer = browser.post(SEND, channel="sms")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    one_portal.base.clock.advance(60)
    assert browser.post(SEND, channel="sms").status_code == 303
    assert browser.post(SEND, channel="email").status_code == 429


def test_a_resend_voids_the_earlier_pin_and_says_so(one_portal):
    jane(one_portal)
    browser = at_pin(one_portal)
    first = delivered(one_portal)
    assert "Your earlier PIN no longer works." not in browser.get(PIN).text
    one_portal.base.clock.advance(30)
    browser.post(SEND, channel="sms")
    second = delivered(one_portal)
    assert "Your earlier PIN no longer works." in browser.get(PIN).text
    assert browser.post(PIN, pin=first).status_code == 422
    assert browser.post(PIN, pin=second).location == NEW


def test_a_pin_that_was_not_sent_yet_when_another_was_asked_for_is_never_sent(one_portal):
    jane(one_portal)
    browser = at_pin(one_portal)
    one_portal.base.clock.advance(30)
    browser.post(SEND, channel="sms")
    one_portal.deliver()
    assert len(one_portal.phone.texts) == 1
    assert browser.post(PIN, pin=behind.pins_by_sms(one_portal, PHONE)[0]).location == NEW


def test_a_resend_gives_no_tries_back(portal):
    """Requirement B-02: four failures before it leave one try after it."""
    jane(portal)
    browser = at_pin(portal)
    first = delivered(portal)
    for _ in range(4):
        assert browser.post(PIN, pin=another(first)).status_code == 422
    portal.base.clock.advance(30)
    assert browser.post(SEND, channel="sms").status_code == 303
    assert browser.get(STATUS).json["tries_left"] == 1
    second = delivered(portal)
    assert browser.post(PIN, pin=another(second)).status_code == 409
    assert browser.post(PIN, pin=second).status_code == 409


def test_looking_sends_nothing(one_portal):
    """LTB Self Service Password, issue 763: each reload of the page sent an SMS (requirement B-16)."""
    jane(one_portal)
    browser = at_pin(one_portal)
    one_portal.deliver()
    before = behind.tables(one_portal)
    for _ in range(20):
        one_portal.base.clock.advance(5)
        assert browser.get(PIN).status_code == 200
        assert browser.get(STATUS).status_code == 200
        assert browser.client.head(PIN).status_code == 200
    assert browser.get(SEND).location == PIN
    assert browser.get(f"{SEND}?channel=email").location == PIN
    assert behind.tables(one_portal) == before
    assert len(one_portal.phone.texts) == 1


def test_nothing_is_sent_before_the_first_proof(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    browser.post("/recovery/token", code=one_portal.wrong_code("jane"))
    browser.post(SEND, channel="sms")
    assert behind.queued(one_portal) == []


# ---- how long and how often a PIN is good


@pytest.mark.parametrize(("channel", "life"), [("sms", 300), ("email", 600)])
def test_a_pin_expires(one_portal, channel, life):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    browser.post("/recovery/token", code=one_portal.code("jane"))
    if channel == "email":
        browser.post(SEND, channel="email")
    one_portal.deliver()
    pins = behind.pins_by_sms(one_portal, PHONE) + behind.pins_by_email(one_portal, EMAIL)
    one_portal.base.clock.advance(life - 1)
    assert browser.get(STATUS).json["expires_in"] == 1
    one_portal.base.clock.advance(1)
    answer = browser.post(PIN, pin=pins[-1])
    if channel == "sms":
        assert answer.status_code == 422
        assert "This PIN has expired" in answer.text
        told = browser.get(STATUS).json
        assert (told["expires_in"], told["tries_left"]) == (0, 5)
        assert browser.post(SEND, channel="sms").status_code == 303
        assert browser.post(PIN, pin=delivered(one_portal)).location == NEW
    else:
        assert answer.status_code == 409  # the first proof is as old as the PIN


def test_a_pin_is_good_until_its_last_second(one_portal):
    jane(one_portal)
    browser = at_pin(one_portal)
    pin = delivered(one_portal)
    one_portal.base.clock.advance(299)
    assert browser.post(PIN, pin=pin).location == NEW


# ---- what a thief of the store would get


def test_the_store_keeps_of_a_pin_only_a_hash_that_needs_our_key(one_portal, valkey_url, keyring):
    """Requirement T-20: all the million PINs can be tried on what was stolen, and none fits without the key."""
    jane(one_portal)
    browser = at_pin(one_portal)
    pin = delivered(one_portal)
    raw = behind.stored(valkey_url)[behind.flow_key(browser.cookie(RECOVERY)).encode()]
    flow = json.loads(raw)
    kept = flow["notes"]["pin"]
    assert re.fullmatch(r"[0-9a-f]{64}", kept["digest"])
    assert pin not in raw.decode()
    # it is HMAC-SHA-256 over flow, purpose, contact and digits, so it differs from flow to flow for the same digits
    made = keyring.mac_hex("pin", flow["txn"], "recovery", kept["contact_id"], pin)
    assert made == kept["digest"]
    for other in (
        keyring.mac_hex("pin", "0" * 32, "recovery", kept["contact_id"], pin),
        keyring.mac_hex("pin", flow["txn"], "sign_in", kept["contact_id"], pin),
        keyring.mac_hex("pin", flow["txn"], "recovery", "0" * 32, pin),
        keyring.mac_hex("pin", flow["txn"], "recovery", kept["contact_id"], pin, key=keyring.names[1]),
    ):
        assert other != kept["digest"]


def test_the_row_of_a_message_shows_no_pin_and_nothing_at_all_once_it_is_sent(one_portal):
    jane(one_portal)
    at_pin(one_portal)
    waiting = behind.queued(one_portal)[0]
    assert waiting["payload"]
    pin = delivered(one_portal)
    assert pin not in str(waiting)
    sent = behind.queued(one_portal)[0]
    assert sent["payload"] is None
    assert pin not in json.dumps([repr(row) for rows in behind.tables(one_portal).values() for row in rows])


def test_no_pin_stands_in_what_is_logged(one_portal, capsys):
    jane(one_portal)
    browser = at_pin(one_portal)
    pin = delivered(one_portal)
    browser.post(PIN, pin=another(pin))
    browser.post(PIN, pin=pin)
    said = capsys.readouterr()
    assert "message_sent" in said.out + said.err  # the log is read here
    assert pin not in said.out + said.err


# ---- where a PIN may go


def put_contact(portal, person, channel, address, **other):
    now = portal.base.clock.now()
    values = {"position": 1, "confirmed_at": now, "usable_from": now, "removed_at": None, **other}
    contact = Contact(portal.base.chance.name(), person.id, channel, address, **values)
    with portal.base.database.begin() as transaction:
        people.add_contact(transaction, contact, now)
    return contact


def test_a_contact_that_nobody_confirmed_gets_no_pin_and_is_not_shown(one_portal):
    """Requirement B-09."""
    person = jane(one_portal, email=EMAIL)
    put_contact(one_portal, person, Channel.SMS, PHONE, confirmed_at=None)
    browser = at_pin(one_portal)
    assert browser.get(STATUS).json["destination"] == "j•••@e•••.org"
    assert "••• ••• 01" not in browser.get(PIN).text
    assert browser.post(SEND, channel="sms").status_code == 422
    one_portal.deliver()
    assert one_portal.phone.texts == []


def test_a_contact_in_its_waiting_time_gets_no_pin(one_portal):
    """Security rule 6: who sneaks a contact in must wait a week before it is of any use."""
    person = jane(one_portal, email=EMAIL)
    soon = one_portal.base.clock.now() + 7 * 86_400
    put_contact(one_portal, person, Channel.SMS, PHONE, usable_from=soon)
    browser = at_pin(one_portal)
    assert browser.get(STATUS).json["channel"] == "email"
    assert browser.post(SEND, channel="sms").status_code == 422
    one_portal.base.clock.advance(7 * 86_400)
    assert at_pin(one_portal).get(STATUS).json["channel"] == "sms"


def test_where_a_pin_goes_is_read_from_the_record_when_it_leaves(portal):
    """Requirement B-15: neither the request nor the flow decides."""
    jane(portal)
    at_pin(portal)
    with portal.base.database.begin() as transaction:
        transaction.execute(update(people.contacts).where(people.contacts.c.address == PHONE).values(address="+4930"))
    portal.deliver()
    assert portal.phone.to(PHONE) == []
    assert len(portal.phone.to("+4930")) == 1


def test_a_contact_removed_before_the_worker_comes_gets_no_pin(one_portal):
    jane(one_portal)
    browser = at_pin(one_portal)
    with one_portal.base.database.begin() as transaction:
        transaction.execute(update(people.contacts).where(people.contacts.c.address == PHONE).values(removed_at=1))
    one_portal.deliver()
    assert one_portal.phone.texts == []
    assert browser.get(STATUS).json["state"] == "failed"
    one_portal.base.clock.advance(30)
    assert browser.post(SEND, channel="sms").status_code == 422
    assert browser.post(SEND, channel="email").status_code == 303


@pytest.mark.parametrize(
    "fields",
    [
        {"phone": "+15550001111"},
        {"destination": "thief@example.net"},
        {"email": "thief@example.net", "contact_id": "0" * 32},
        {"user_id": "mallory", "person_id": "2"},
    ],
)
def test_nothing_in_a_request_changes_where_a_pin_goes(one_portal, fields):
    """GitLab CVE-2023-7028, CVE-2023-49032."""
    one_portal.add("mallory", phone="+15550001111", email="thief@example.net")
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    assert browser.post("/recovery/token", code=one_portal.code("jane"), **fields).status_code == 303
    one_portal.base.clock.advance(30)
    assert browser.post(SEND, channel="email", **fields).status_code == 303
    one_portal.deliver()
    assert {text.to for text in one_portal.phone.texts} <= {PHONE}
    assert {to for mail in one_portal.mailbox.mails for to in mail.to} == {EMAIL}


def test_two_values_for_one_field_are_refused(one_portal):
    """GitLab CVE-2023-7028: ``user[email][]=victim&user[email][]=thief``."""
    jane(one_portal)
    browser = at_pin(one_portal)
    answer = browser.client.post(SEND, data={"csrf_token": browser.token(), "channel": ["sms", "email"]})
    assert answer.status_code == 400
    assert len(behind.queued(one_portal)) == 1


DOTLESS = "m\u0131ke@example.org"


@pytest.mark.parametrize("typed", [EMAIL, EMAIL.upper(), behind.full_width(EMAIL), f"  {EMAIL} ", DOTLESS])
def test_look_alikes_of_a_user_id_send_to_the_stored_address_or_to_nobody(one_portal, typed):
    """GitHub 2016, Django CVE-2019-19844: the mail went to what was typed."""
    one_portal.add("jane@example.org", email=EMAIL)
    one_portal.add("mike@example.org", email="mike@example.org")
    browser = one_portal.browser()
    browser.recover_to_token(typed)
    browser.post("/recovery/token", code=one_portal.code("jane@example.org"))
    one_portal.deliver()
    assert {to for mail in one_portal.mailbox.mails for to in mail.to} <= {EMAIL}
    if typed != DOTLESS:
        assert len(one_portal.mailbox.mails) == 1


# ---- five failed codes in a day: the mailbox alone no longer gets the PIN (security rule 2)


def fail_codes(portal, user_id, times=5):
    browser = portal.browser(REMOTE_ADDR="203.0.113.5")
    browser.recover_to_token(user_id)
    for _ in range(times):
        assert browser.post("/recovery/token", code=portal.wrong_code(user_id)).status_code == 422
    portal.base.clock.advance(30)


def test_after_five_failed_codes_no_pin_goes_by_email_where_a_phone_is_on_file(portal):
    jane(portal)
    fail_codes(portal, "jane")
    browser = at_pin(portal)
    told = browser.get(STATUS).json
    assert told["channel"] == "sms"
    assert 'value="email"' not in browser.get(PIN).text
    assert browser.post(SEND, channel="email").status_code == 422
    portal.deliver()
    assert portal.mailbox.mails == []
    assert browser.post(PIN, pin=behind.pins_by_sms(portal, PHONE)[-1]).location == NEW


def test_four_failed_codes_leave_the_mailbox_as_it_was(one_portal):
    jane(one_portal)
    fail_codes(one_portal, "jane", 4)
    browser = at_pin(one_portal)
    assert browser.post(SEND, channel="email").status_code == 303


def test_a_day_after_the_failed_codes_the_mailbox_is_offered_again(one_portal):
    jane(one_portal)
    fail_codes(one_portal, "jane")
    one_portal.base.clock.advance(86_400)
    assert at_pin(one_portal).post(SEND, channel="email").status_code == 303


def test_after_five_failed_codes_somebody_without_a_phone_still_gets_the_pin_by_email(one_portal):
    jane(one_portal, email=EMAIL)
    fail_codes(one_portal, "jane")
    browser = at_pin(one_portal)
    one_portal.deliver()
    assert browser.post(PIN, pin=behind.pins_by_email(one_portal, EMAIL)[-1]).location == NEW


# ---- how many messages


def test_one_number_gets_three_pins_in_a_quarter_of_an_hour_whatever_flow_asks(portal):
    jane(portal)
    for number in range(3):
        at_pin(portal, address=f"192.0.2.{number + 1}")
        portal.base.clock.advance(30)
    fourth = portal.browser(REMOTE_ADDR="192.0.2.9")
    fourth.recover_to_pin(portal, "jane")  # the code was right: the step is taken, but nothing leaves
    assert len(behind.queued(portal)) == 3
    assert "No PIN was sent" in fourth.page.text
    answer = fourth.post(SEND, channel="sms")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) == 900 - 90
    # the other channel has a number of its own
    assert fourth.post(SEND, channel="email").status_code == 303
    portal.deliver()
    assert fourth.post(PIN, pin=behind.pins_by_email(portal, EMAIL)[-1]).location == NEW


def test_one_number_gets_ten_pins_a_day(one_portal):
    jane(one_portal, phone=PHONE)
    start = one_portal.base.clock.now()
    for _ in range(10):
        at_pin(one_portal)
        one_portal.base.clock.advance(900)
    assert len(behind.queued(one_portal)) == 10
    last = at_pin(one_portal)
    assert len(behind.queued(one_portal)) == 10
    answer = last.post(SEND, channel="sms")
    assert int(answer.headers["Retry-After"]) == 86_400 - (one_portal.base.clock.now() - start)


def test_above_the_installations_limit_of_an_hour_no_pin_leaves_and_the_page_says_so(
    sqlite_database, valkey_url, clock, keyring
):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_messages_per_hour=2) as portal:
        for name in ("jane", "omar", "ana"):
            portal.add(name, phone=f"+49170000000{len(name)}", email=f"{name}@example.org")
        at_pin(portal, "jane")
        at_pin(portal, "omar")
        third = at_pin(portal, "ana")
        assert "No PIN was sent" in third.page.text
        assert third.post(SEND, channel="email").status_code == 429
        assert len(behind.queued(portal)) == 2
        clock.advance(3_600)
        assert at_pin(portal, "ana").get(STATUS).json["state"] == "queued"


def test_the_limit_of_an_hour_holds_among_many_at_once(database, redis_url, clock, keyring):
    """Counting first and writing later lets as many through as come together."""
    import threading

    from app.foundation.refusals import Throttled

    with opened(database, redis_url, clock, keyring, limit_messages_per_hour=5) as portal:
        persons = [portal.add(f"p{n}", phone=f"+4917000000{n:02d}", app=False) for n in range(20)]
        with portal.base.database.read() as looking:
            contacts = [people.contacts_of(looking, person.id)[0] for person in persons]
        pins: Pins = portal.means.pins
        barrier = threading.Barrier(len(contacts))
        sent = []

        def send(contact: Contact) -> None:
            barrier.wait()
            try:
                with portal.base.database.begin() as transaction:
                    pins.send(
                        transaction,
                        policy=PinPolicy(),
                        txn=contact.id,
                        purpose="recovery",
                        contact=contact,
                        door=Door.RECOVERY,
                        language="en",
                        now=clock.now(),
                    )
                sent.append(contact)
            except Throttled:
                pass

        threads = [threading.Thread(target=send, args=(contact,)) for contact in contacts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(sent) == len(behind.queued(portal)) == 5


def test_somebody_whom_no_message_can_reach_hears_so_after_the_first_proof_and_not_before(one_portal):
    one_portal.add("hermit")
    browser = at_pin(one_portal, "hermit")
    assert "There is no contact to which a PIN can be sent" in browser.page.text
    assert browser.post(SEND, channel="sms").status_code == 422
    assert browser.post(PIN, pin="123456").status_code == 422
    assert browser.get(NEW).location == PIN


def test_of_two_phones_the_first_is_used(one_portal):
    person = jane(one_portal)
    put_contact(one_portal, person, Channel.SMS, "+491700000099")
    at_pin(one_portal)
    one_portal.deliver()
    assert {text.to for text in one_portal.phone.texts} == {PHONE}


# ---- the words


def test_the_message_names_who_asks_and_ends_with_the_line_that_binds_it_to_our_host(one_portal):
    """Requirements B-10 and B-12, and how programs find the PIN (product.md)."""
    jane(one_portal)
    browser = at_pin(one_portal)
    browser.post(SEND, channel="email")
    one_portal.deliver()
    bodies = [one_portal.mailbox.mails[0].text]
    one_portal.base.clock.advance(60)
    browser.post(SEND, channel="sms")
    one_portal.deliver()
    bodies.append(one_portal.phone.texts[-1].body)
    for body in bodies:
        lines = body.split("\n")
        pin = next(line for line in lines if re.fullmatch("[0-9]{6,8}", line))
        assert lines[-1] == f"@localhost #{pin}"
        assert re.findall("[0-9]{6,8}", body) == [pin, pin]
        assert "Keyturn" in body
        assert "Our staff never ask for it" in body
        assert "jane" not in body.lower()
    assert len(bodies[1]) <= 160
