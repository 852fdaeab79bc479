"""What programs ask that watch over the portal, and who may: health, metrics, callbacks, well-known pages."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from app.records.delivery.model import State
from tests.doors import EMAIL, FORM, PHONE, Knock, form, knock, stand_at, standing
from tests.edges import AUTH_TOKEN, closed_port, sign

TOKEN = "a-metrics-token-for-tests"
HERE = "127.0.0.1"
GUARDED = ("/readyz", "/metrics")


@pytest.fixture(scope="module")
def house(sqlite_template, valkey_server, tmp_path_factory):
    """A portal at https://keyturn.example.org with a token for metrics and one of Twilio, with Jane."""
    with standing(
        sqlite_template,
        tmp_path_factory.mktemp("house"),
        valkey_server.url,
        metrics_token=TOKEN,
        twilio_auth_token=AUTH_TOKEN,
        security_contact="mailto:security@example.org",
    ) as portal:
        portal.add("jane", phone=PHONE, email=EMAIL)
        yield portal


def status(portal, path: str, address: str = HERE, *, host: str = "localhost", **headers: str) -> int:
    sent = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return knock(portal.web, Knock(path=path, address=address, host=host, headers=sent)).status_code


# ---- alive


@pytest.mark.parametrize("address", [HERE, "192.0.2.1", None])
def test_anybody_may_ask_whether_it_is_alive(house, address):
    answer = knock(house.web, Knock(path="/healthz", address=address))
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})
    assert answer.mimetype == "application/json"


def test_being_alive_needs_no_store(sqlite_template, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    with closed_port() as port, standing(sqlite_template, folder, f"redis://127.0.0.1:{port}") as portal:
        folder.rename(tmp_path / "elsewhere")
        assert status(portal, "/healthz") == 200
        answer = knock(portal.web, Knock(path="/readyz", address=HERE))
        assert answer.status_code == 503
        assert answer.json == {"status": "away", "away": ["database", "ephemeral store"]}
        assert int(answer.headers["Retry-After"]) > 0
        # the figures that can be told are told all the same
        page = knock(portal.web, Knock(path="/metrics", address=HERE))
        assert page.status_code == 200
        assert "keyturn_hashes_done" in page.text
        assert "keyturn_messages_last_hour" not in page.text


# ---- for operators only


def test_this_machine_itself_may_ask_without_a_token(house):
    for path in GUARDED:
        for address in (HERE, "127.9.9.9", "::1", "::ffff:127.0.0.1"):
            for host in ("localhost", "127.0.0.1:8470", "[::1]:8470"):
                assert status(house, path, address, host=host) == 200


@pytest.mark.parametrize("path", GUARDED)
def test_to_strangers_these_pages_do_not_exist(house, path):
    nowhere = knock(house.web, Knock(path="/no-such-page", address="192.0.2.1"))
    for address in ("192.0.2.1", "10.0.0.1", "::2", "0.0.0.0", None):
        answer = knock(house.web, Knock(path=path, address=address))
        assert answer.status_code == 404
        strip = re.compile(r"[0-9a-f]{32}|/(no-such-page|readyz|metrics)|name=\"csrf_token\" value=\"[^\"]+\"")
        assert strip.sub("", answer.text) == strip.sub("", nowhere.text)


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via"]
)
def test_whoever_comes_through_a_proxy_on_this_machine_is_a_stranger(house, path, header):
    assert status(house, path, **{header: "127.0.0.1"}) == 404
    assert status(house, path, **{header: ""}) == 404


@pytest.mark.parametrize("path", GUARDED)
def test_nor_does_the_public_name_reach_them_from_this_machine(sqlite_template, valkey_server, tmp_path, path):
    """A proxy that adds no header at all would otherwise open them to everybody."""
    with standing(sqlite_template, tmp_path, valkey_server.url, public_url="https://keyturn.example.org") as portal:
        assert status(portal, path, host="keyturn.example.org") == 404
        assert status(portal, path, host="127.0.0.1:8470") == 200
        assert status(portal, path, host="localhost", Authorization="Bearer ") == 200


@pytest.mark.parametrize("path", GUARDED)
def test_the_token_opens_them_from_anywhere(house, path):
    for scheme in ("Bearer", "bearer"):
        assert status(house, path, "192.0.2.1", Authorization=f"{scheme} {TOKEN}") == 200
    assert status(house, path, Authorization=f"Bearer {TOKEN}", X_Forwarded_For="192.0.2.1") == 200


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer  {TOKEN}",
        f"Bearer {TOKEN.upper()}",
        "Bearer \xff",
        "Bearer " + "x" * 9000,
    ],
)
def test_nothing_but_the_token_does(house, path, given):
    assert status(house, path, "192.0.2.1", Authorization=given) == 404


@pytest.mark.parametrize("path", GUARDED)
def test_without_a_token_in_the_settings_none_opens_them(sqlite_template, valkey_server, tmp_path, path):
    with standing(sqlite_template, tmp_path, valkey_server.url) as portal:
        for given in ("Bearer ", "Bearer", "", "Bearer None", "Bearer x"):
            assert status(portal, path, "192.0.2.1", Authorization=given) == 404


# ---- figures


def samples(portal) -> dict[str, float]:
    page = knock(portal.web, Knock(path="/metrics", address=HERE))
    assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in page.text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+", line)
            continue
        name, _, value = line.rpartition(" ")
        assert re.fullmatch(r'[a-z_]+(\{([a-z]+="[^"\\]*",?)+\})?', name), line
        found[name] = float(value)
    return found


def test_requests_are_counted_by_rule_method_and_status(house):
    def count(**labels: str) -> float:
        inside = ",".join(f'{name}="{labels[name]}"' for name in ("method", "route", "status"))
        return samples(house).get(f"keyturn_requests_total{{{inside}}}", 0)

    before = count(route="/recovery", method="GET", status="200"), count(route="-", method="GET", status="404")
    knock(house.web, Knock(path="/recovery"))
    knock(house.web, Knock(path="/recovery", query="user_id=jane"))
    knock(house.web, Knock(path="/no-such-page"))
    after = count(route="/recovery", method="GET", status="200"), count(route="-", method="GET", status="404")
    assert after == (before[0] + 2, before[1] + 1)


def test_no_stranger_can_make_a_time_series_of_their_own(house):
    def visit(number: int) -> None:
        knock(house.web, Knock(f"BREW{number}", f"/no-such-page/{number}"))
        knock(house.web, Knock(f"BREW{number}", "/recovery"))
        knock(house.web, Knock("GET", f"/static/{number}/x"))
        samples(house)

    visit(0)
    before = samples(house).keys()
    for number in range(1, 30):
        visit(number)
    assert samples(house).keys() == before


def test_figures_name_no_person_and_no_address(house):
    stand_at(house, "recovery/pin", "jane")
    text = knock(house.web, Knock(path="/metrics", address=HERE)).text
    assert "/recovery/pin" in text
    assert not any(word in text for word in ("jane", PHONE, EMAIL, "192.0.2"))


def test_hashes_and_messages_are_counted(house):
    before = samples(house)
    browser = stand_at(house, "sign-in/password", "nobody")
    assert browser.post("/sign-in/password", password="x").status_code == 422
    after = samples(house)
    assert after["keyturn_hashes_done"] == before["keyturn_hashes_done"] + 1
    assert after["keyturn_hashes_waiting"] == 0
    assert after["keyturn_messages_last_hour"] >= 1


# ---- the provider's callbacks


@pytest.fixture
def posted(house):
    """A message of Jane's that Twilio took over, and how to post a callback about it."""
    house.base.clock.advance(86_400)
    browser = stand_at(house, "recovery/pin", "jane")
    house.deliver()
    sid = house.phone.texts[-1].sid

    def post(signature: str | None = "right", **fields: str) -> int:
        fields = {"MessageSid": sid, "MessageStatus": "delivered", **fields}
        right = sign(AUTH_TOKEN, "http://localhost/webhooks/twilio/status", fields)
        given = right if signature == "right" else signature
        headers = () if given is None else (("X-Twilio-Signature", given),)
        asked = Knock("POST", "/webhooks/twilio/status", body=form(fields.items()), kind=FORM, headers=headers)
        return knock(house.web, asked).status_code

    return browser, post


def test_a_signed_callback_moves_the_message_forward_and_the_page_says_so(posted):
    browser, post = posted
    assert browser.get("/recovery/pin/status").json["state"] == State.SENT.value
    assert post() == 204
    assert browser.get("/recovery/pin/status").json["state"] == State.DELIVERED.value
    assert post(MessageStatus="failed", ErrorCode="30003") == 204
    assert browser.get("/recovery/pin/status").json["state"] == State.DELIVERED.value


@pytest.mark.parametrize("signature", [None, "", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "\xff", "x" * 9000])
def test_a_callback_without_the_providers_signature_does_nothing(posted, signature):
    browser, post = posted
    assert post(signature) == 403
    assert browser.get("/recovery/pin/status").json["state"] == State.SENT.value


def test_a_signature_is_for_its_own_fields_and_its_own_address(posted, house):
    browser, post = posted
    other = sign(AUTH_TOKEN, "http://localhost/webhooks/twilio/status", {"MessageSid": "x", "MessageStatus": "failed"})
    elsewhere = sign(AUTH_TOKEN, "http://evil.example/webhooks/twilio/status", {"MessageSid": "x"})
    unkeyed = sign("", "http://localhost/webhooks/twilio/status", {"MessageSid": "x"})
    assert [post(other), post(elsewhere), post(unkeyed)] == [403, 403, 403]
    assert browser.get("/recovery/pin/status").json["state"] == State.SENT.value


def test_without_the_providers_token_no_callback_is_believed(sqlite_template, valkey_server, tmp_path):
    with standing(sqlite_template, tmp_path, valkey_server.url) as portal:
        fields = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered"}
        for token in ("", AUTH_TOKEN):
            headers = (("X-Twilio-Signature", sign(token, "http://localhost/webhooks/twilio/status", fields)),)
            asked = Knock("POST", "/webhooks/twilio/status", body=form(fields.items()), kind=FORM, headers=headers)
            assert knock(portal.web, asked).status_code == 403


def test_a_callback_about_nothing_of_ours_is_answered_and_forgotten(posted):
    _, post = posted
    assert post(MessageSid="SM" + "f" * 32) == 204
    assert post(MessageStatus="\U0001f600") == 204
    assert post(ErrorCode="9" * 50) == 204


# ---- well-known pages


def parse_security_txt(text: str) -> dict[str, list[str]]:
    """RFC 9116 sec. 2: fields by lower-case name."""
    assert text.endswith("\n")
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, colon, value = line.partition(": ")
        assert colon
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert value.strip()
        fields.setdefault(name.lower(), []).append(value)
    return fields


def test_security_txt_is_as_rfc_9116_wants_it(sqlite_template, valkey_server, tmp_path):
    with standing(
        sqlite_template,
        tmp_path,
        valkey_server.url,
        public_url="https://keyturn.example.org/",
        security_contact="https://example.org/security",
    ) as portal:
        answer = knock(portal.web, Knock(path="/.well-known/security.txt", host="keyturn.example.org"))
        now = portal.base.clock.now()
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    fields = parse_security_txt(answer.text)
    assert fields["contact"] == ["https://example.org/security"]
    assert fields["canonical"] == ["https://keyturn.example.org/.well-known/security.txt"]
    assert fields["preferred-languages"] == ["en, de"]
    assert all(urlsplit(uri).scheme in {"https", "mailto", "tel"} for uri in fields["contact"])
    [expires] = fields["expires"]
    left = datetime.fromisoformat(expires) - datetime.fromtimestamp(now, UTC)
    assert timedelta(days=30) < left < timedelta(days=365)


def test_security_txt_never_expires_while_the_portal_runs(house):
    house.base.clock.advance(3 * 365 * 86_400)
    answer = knock(house.web, Knock(path="/.well-known/security.txt"))
    [expires] = parse_security_txt(answer.text)["expires"]
    assert datetime.fromisoformat(expires) > datetime.fromtimestamp(house.base.clock.now(), UTC) + timedelta(days=30)


def test_where_no_contact_is_set_support_is_named_and_without_any_there_is_no_page(
    sqlite_template, valkey_server, tmp_path
):
    with standing(sqlite_template, tmp_path, valkey_server.url) as portal:
        answer = knock(portal.web, Knock(path="/.well-known/security.txt"))
        assert parse_security_txt(answer.text)["contact"] == ["mailto:help@example.org"]
    with standing(sqlite_template, tmp_path, valkey_server.url, support_email="") as portal:
        assert knock(portal.web, Knock(path="/.well-known/security.txt")).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200",
        "/.well-known/",
        "/.well-known",
        "/.well-known/security.txt.bak",
        "/.env",
        "/.git/config",
        "/server-status",
        "/console",
        "/favicon.ico",
        "/robots.txt/x",
    ],
)
def test_what_is_not_there_is_a_404_and_leads_nowhere(house, path):
    """W3C response-code-reliability (requirements W-02): password managers ask so whether our 200 means anything."""
    answer = knock(house.web, Knock(path=path))
    assert answer.status_code == 404
    assert "Location" not in answer.headers
