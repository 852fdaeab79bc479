"""API clients: made by administrators with a fresh proof, their secrets shown once and kept as digests."""

import re

import pytest
from sqlalchemy import select

from app.foundation.secretbox import fingerprint
from app.records.audit.model import Event
from app.records.audit.store import events as log
from app.records.clients import store
from app.records.clients.store import api_clients
from app.records.organizations.model import Role

PAGE = "/admin/api-clients"


@pytest.fixture
def ada(one_portal):
    one_portal.add("ada", email="ada@example.org", role=Role.ADMINISTRATOR)
    browser = one_portal.browser()
    browser.sign_in(one_portal, "ada")
    return browser


def organization_of(browser):
    return re.findall(r'name="organization" value="([^"]+)"', browser.get(PAGE).text)[0]


def make(browser, name="Billing"):
    answer = browser.post(PAGE, name=name, organization=organization_of(browser))
    assert (answer.status_code, answer.location) == (303, PAGE), answer.text
    return shown(browser)


def shown(browser):
    page = browser.get(PAGE).text
    found = re.search(r'data-client-id="([^"]+)".*?data-client-secret="([^"]+)"', page, re.DOTALL)
    return (found[1], found[2]) if found else None


def kept(portal):
    with portal.base.database.read() as looking:
        return looking.execute(select(api_clients)).all()


def test_a_secret_is_shown_to_who_made_it_alone_and_only_its_digest_is_kept(one_portal, ada):
    client, secret = make(ada)
    (row,) = kept(one_portal)
    assert row.id == client
    assert row.secret == fingerprint(secret)
    assert secret not in str(tuple(row))
    assert shown(ada) == (client, secret)  # a reload loses nothing
    one_portal.add("abe", email="abe@example.org", role=Role.ADMINISTRATOR)
    other = one_portal.browser()
    other.sign_in(one_portal, "abe")
    assert client in other.get(PAGE).text
    assert shown(other) is None
    ada.get(PAGE)
    assert ada.post(f"{PAGE}/hide").status_code == 303
    assert "The secret is shown no more." in ada.get(PAGE).text
    assert shown(ada) is None


def test_a_secret_is_shown_for_ten_minutes(one_portal, ada):
    make(ada)
    one_portal.base.clock.advance(599)
    assert shown(ada) is not None
    one_portal.base.clock.advance(1)
    assert shown(ada) is None


def test_making_one_needs_a_fresh_proof(one_portal, ada):
    where = organization_of(ada)
    one_portal.base.clock.advance(301)
    ada.get(PAGE)
    answer = ada.post(PAGE, name="Billing", organization=where)
    assert answer.status_code == 409
    assert "/step-up" in answer.text
    assert kept(one_portal) == []


@pytest.mark.parametrize(("name", "said"), [("", "missing"), ("x" * 65, "too_long"), ("a\u202eb", "bad_characters")])
def test_a_name_that_cannot_be_is_refused_at_its_field(one_portal, ada, name, said):
    answer = ada.post(PAGE, name=name, organization=organization_of(ada))
    assert answer.status_code == 422
    assert 'id="name-error"' in answer.text
    assert kept(one_portal) == []


def test_another_organization_is_none_of_theirs(one_portal, ada):
    organization_of(ada)
    answer = ada.post(PAGE, name="Billing", organization="00000000-0000-4000-8000-000000000000")
    assert answer.status_code == 422
    assert kept(one_portal) == []


def test_a_new_secret_leaves_the_earlier_one_good_for_a_day(one_portal, ada):
    client, former = make(ada)
    ada.get(f"{PAGE}/{client}/rotate")
    assert ada.post(f"{PAGE}/{client}/rotate").status_code == 303
    _, secret = shown(ada)
    (row,) = kept(one_portal)
    assert (row.secret, row.former) == (fingerprint(secret), fingerprint(former))
    assert row.former_until == one_portal.base.clock.now() + 86_400


def test_a_new_secret_ends_the_earlier_one_at_once_where_that_is_asked_for(one_portal, ada):
    client, _ = make(ada)
    ada.get(f"{PAGE}/{client}/rotate")
    assert ada.post(f"{PAGE}/{client}/rotate", at_once="yes").status_code == 303
    assert kept(one_portal)[0].former_until == 0


def test_a_revoked_client_can_neither_be_revoked_again_nor_get_a_secret(one_portal, ada):
    client, _ = make(ada)
    ada.get(f"{PAGE}/{client}/revoke")
    assert ada.post(f"{PAGE}/{client}/revoke").status_code == 303
    assert "The API client was revoked." in ada.get(PAGE).text
    assert kept(one_portal)[0].revoked_at == one_portal.base.clock.now()
    assert ada.get(f"{PAGE}/{client}/revoke").status_code == 404
    for act in ("rotate", "revoke"):
        ada.get(PAGE)
        assert ada.post(f"{PAGE}/{client}/{act}").status_code == 409


def test_two_rotations_at_once_make_one_new_secret(one_portal, ada):
    client, _ = make(ada)
    with one_portal.base.database.read() as looking:
        read = store.find(looking, client)
    assert read is not None
    with one_portal.base.database.begin() as transaction:
        assert store.rotate(transaction, read, "a" * 64, 0, 1)
    with one_portal.base.database.begin() as transaction:
        assert not store.rotate(transaction, read, "b" * 64, 0, 1)


def test_administrators_of_another_organization_see_and_change_none(one_portal, ada):
    client, _ = make(ada)
    one_portal.add("eve", email="eve@example.org", home="other", role=Role.ADMINISTRATOR)
    eve = one_portal.browser()
    eve.sign_in(one_portal, "eve")
    assert client not in eve.get(PAGE).text
    for act in ("rotate", "revoke"):
        assert eve.get(f"{PAGE}/{client}/{act}").status_code == 404
        eve.get(PAGE)
        assert eve.post(f"{PAGE}/{client}/{act}").status_code == 409
    assert kept(one_portal)[0].revoked_at is None


def test_each_change_is_in_the_log_of_the_organization_without_a_secret(one_portal, ada):
    client, secret = make(ada)
    ada.get(f"{PAGE}/{client}/rotate")
    ada.post(f"{PAGE}/{client}/rotate")
    ada.get(f"{PAGE}/{client}/revoke")
    ada.post(f"{PAGE}/{client}/revoke")
    with one_portal.base.database.read() as looking:
        rows = looking.execute(select(log).where(log.c.event.like("api_client%"))).all()
    assert [row.event for row in rows] == [
        Event.API_CLIENT_CREATED,
        Event.API_CLIENT_ROTATED,
        Event.API_CLIENT_REVOKED,
    ]
    assert {row.actor for row in rows} == {"ada"}
    assert len({row.organization_id for row in rows}) == 1
    assert all(client in row.details and secret not in row.details for row in rows)


def test_an_address_that_can_be_no_clients_is_none_on_any_database(portal):
    portal.add("ada", email="ada@example.org", role=Role.ADMINISTRATOR)
    browser = portal.browser()
    browser.sign_in(portal, "ada")
    browser.get(PAGE)
    for client in ("a%00b", "%00", "none"):
        assert browser.get(f"{PAGE}/{client}/rotate").status_code == 404
        assert browser.post(f"{PAGE}/{client}/rotate").status_code == 409
        assert browser.post(f"{PAGE}/{client}/revoke").status_code == 409
