"""The newest seal leaves the house by e-mail: at least once, under one name, and never while a transaction is open."""

import threading
from dataclasses import replace

import pytest
import structlog
from sqlalchemy import delete, select

from app import wiring
from app.journeys.auditing.service import Auditing, SealMail, SealMailMeans
from app.records.audit import store
from app.records.audit.model import Event, Fault, Record, Tampering
from app.records.delivery import channels
from app.records.delivery.channels.letters import Letters
from app.records.delivery.model import Accepted, Channel
from app.records.delivery.rules import LEASE
from tests.edges import Mailbox
from tests.portal import test_settings

OPERATOR = "it@example.net"
DAY = 86_400


@pytest.fixture
def mailbox():
    with Mailbox() as running:
        yield running


@pytest.fixture
def settings(mailbox):
    return test_settings(smtp_url=mailbox.url, audit_seals_mail_to=OPERATOR)


@pytest.fixture
def means(database, clock, chance, settings):
    return SealMailMeans(
        database=database,
        clock=clock,
        chance=chance,
        sender=channels.build(settings, clock)[Channel.EMAIL],
        letters=Letters(settings),
        to=OPERATOR,
        hours=24,
        language="en",
        host="keyturn.example.org",
    )


@pytest.fixture
def auditing(database, keyring, clock):
    return Auditing(database, keyring, clock, keep_days=400, seals_to=None)


@pytest.fixture
def sealed(database, clock, auditing):
    """Makes one more seal, and returns it."""

    def seal(actor="self"):
        with database.begin() as transaction:
            store.add(transaction, Record(Event.PIN_SENT, clock.now(), None, actor, "success"))
        return auditing.seal()

    return seal


def test_the_newest_seal_is_mailed_and_the_saved_mail_finds_a_tail_that_was_cut_off(
    database, means, mailbox, auditing, sealed, tmp_path
):
    sealed()
    newest = sealed()
    assert SealMail(means).mail() is True
    (mail,) = mailbox.to(OPERATOR)
    assert "seal 2" in mail.subject
    assert "all events up to number 2" in mail.text
    assert mail.message["Message-ID"] == f"<seal-2-{newest.chain[:16]}@keyturn.example.org>"
    text, letter = tmp_path / "saved.txt", tmp_path / "saved.eml"
    text.write_text("".join(f"> {line}\n" for line in mail.text.splitlines()))
    letter.write_bytes(mail.raw)
    for saved in (text, letter):
        assert auditing.verify(saved).fault is None
    with database.begin() as transaction:
        transaction.execute(delete(store.events).where(store.events.c.id == newest.first_id))
        transaction.execute(delete(store.seals).where(store.seals.c.number == 2))
    assert auditing.verify().fault is None
    for saved in (text, letter):
        assert auditing.verify(saved).fault == Fault(Tampering.CUT, 2)


def test_lines_are_short_in_each_language(means, mailbox, auditing, sealed, tmp_path):
    sealed()
    SealMail(replace(means, language="de")).mail()
    (mail,) = mailbox.mails
    assert "Siegel 1" in mail.subject
    (tmp_path / "saved.eml").write_bytes(mail.raw)
    assert auditing.verify(tmp_path / "saved.eml").fault is None


def test_there_is_one_mail_in_so_many_hours_and_none_where_nothing_is_new(means, mailbox, clock, sealed):
    seal_mail = SealMail(means)
    assert seal_mail.mail() is False  # there is no seal yet
    sealed()
    assert seal_mail.mail() is True
    clock.advance(2 * DAY)
    assert seal_mail.mail() is False
    sealed()
    assert seal_mail.mail() is True
    sealed()
    clock.advance(DAY - 1)
    assert seal_mail.mail() is False
    clock.advance(1)
    assert seal_mail.mail() is True
    assert [mail.subject.rpartition(" ")[2] for mail in mailbox.mails] == ["1", "2", "3"]


def test_a_chain_that_grew_anew_after_a_cut_is_mailed_again(database, means, mailbox, clock, sealed):
    sealed()
    sealed()
    SealMail(means).mail()
    with database.begin() as transaction:
        transaction.execute(delete(store.seals).where(store.seals.c.number == 2))
        transaction.execute(delete(store.events).where(store.events.c.id == 2))
    sealed("another story")
    clock.advance(DAY)
    assert SealMail(means).mail() is True
    one, other = mailbox.mails
    assert one.message["Message-ID"] != other.message["Message-ID"]


@pytest.mark.parametrize("answer", ["451 4.3.0 later", "550 5.1.1 unknown", "drop"])
def test_a_mail_that_cannot_be_sent_is_logged_and_tried_again_under_its_name(means, mailbox, clock, sealed, answer):
    newest = sealed()
    mailbox.plan("DATA", *[answer] * 3)
    seal_mail = SealMail(means)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert seal_mail.mail() is False
            assert seal_mail.mail() is False  # not again at once
            sealed()  # a newer seal changes nothing of what is owed
            clock.advance(20)
        assert seal_mail.mail() is True
    failed = [one for one in logs if one["event"] == "audit_seal_not_mailed"]
    assert [(one["number"], one["tries"], one["log_level"]) for one in failed] == [
        (1, tries, "error") for tries in (1, 2, 3)
    ]
    assert {mail.message["Message-ID"] for mail in mailbox.mails} == {
        f"<seal-1-{newest.chain[:16]}@keyturn.example.org>"
    }
    assert OPERATOR not in str(logs)


def test_a_mail_is_tried_for_as_long_as_it_takes_once_an_hour_or_two(means, mailbox, clock, sealed):
    sealed()
    mailbox.plan("DATA", *["550 5.1.1 unknown"] * 20)
    seal_mail = SealMail(means)
    for _ in range(20):
        assert seal_mail.mail() is False
        clock.advance(7_200)
    assert seal_mail.mail() is True


class Dying:
    """A sender whose process ends after the mail server took the letter."""

    def __init__(self, sender):
        self._sender = sender

    def send(self, message):
        self._sender.send(message)
        raise SystemExit


def test_a_worker_that_died_while_sending_leaves_the_letter_to_the_next(means, mailbox, clock, sealed):
    sealed()
    with pytest.raises(SystemExit):
        SealMail(replace(means, sender=Dying(means.sender))).mail()
    assert SealMail(means).mail() is False
    clock.advance(LEASE)
    assert SealMail(means).mail() is True
    one, other = mailbox.mails
    assert one.message["Message-ID"] == other.message["Message-ID"]


class Watching:
    """A sender that writes to the database while it sends, as nobody could within an open transaction on SQLite."""

    def __init__(self, database):
        self._database = database
        self.sent = 0

    def send(self, _message):
        with self._database.begin() as transaction:
            transaction.execute(store.seal_letter.update().values(upto=store.seal_letter.c.upto))
        self.sent += 1
        return Accepted()


def test_no_transaction_is_open_while_the_mail_server_is_waited_for(means, database, sealed):
    sealed()
    sender = Watching(database)
    assert SealMail(replace(means, sender=sender)).mail() is True
    assert sender.sent == 1


class Broken:
    def send(self, _message):
        raise ZeroDivisionError


def test_a_defect_does_not_lose_the_letter(means, clock, sealed):
    sealed()
    with structlog.testing.capture_logs() as logs:
        assert SealMail(replace(means, sender=Broken())).mail() is False
    assert logs[-1]["reason"] == "ZeroDivisionError"
    clock.advance(10)
    assert SealMail(means).mail() is True


def test_workers_side_by_side_send_one_mail(means, mailbox, clock, sealed):
    for number in (1, 2):
        sealed()
        gate = threading.Barrier(6)
        results: list[bool] = []

        def work(gate=gate, results=results):
            gate.wait()
            results.append(SealMail(means).mail())

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == [False] * 5 + [True]
        assert len(mailbox.mails) == number
        clock.advance(DAY)


def test_the_worker_mails_where_an_address_is_set_and_not_else(sqlite_database, keyring, settings, mailbox):
    base = wiring.build_foundation(settings, ephemeral_url="redis://127.0.0.1:1", keyring=keyring)
    base = replace(base, database=sqlite_database)
    with sqlite_database.begin() as transaction:
        store.add(transaction, Record(Event.PIN_SENT, base.clock.now(), None, "self", "success"))
    wiring.build_auditing(base).seal()

    def run_for(base, enough):
        stop = threading.Event()
        worker = threading.Thread(target=wiring.run_worker, args=(base, stop))
        worker.start()
        try:
            return enough()
        finally:
            stop.set()
            worker.join()

    try:
        silent = replace(base, settings=replace(settings, audit_seals_mail_to=""))
        run_for(silent, lambda: stop_after(0.3))
        with sqlite_database.read() as looking:
            assert looking.execute(select(store.seal_letter)).all() == []
        (mail,) = run_for(base, lambda: mailbox.wait(1))
        assert mail.to == (OPERATOR,)
    finally:
        base.hasher.close()


def stop_after(seconds):
    threading.Event().wait(seconds)
