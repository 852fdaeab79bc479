"""Whatever is sent, /soap/users answers with a clear fault, in time, and repeats or resolves nothing of it."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from werkzeug.test import Client

from app.journeys.soap import rules
from app.journeys.soap.model import Result, Severity, UserAccount, UserException, Version
from tests.portal import PASSWORD, opened
from tests.programs import ALLOWING

S11, S12 = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
NAMESPACE = "https://www.assuresign.net/Services/DocumentNOW/Users"
ACTION = f"{NAMESPACE}/IUserService/AuthenticateUser"
REQUEST = f'<AuthenticateUserRequest UserName="ana" Password="{PASSWORD}"/>'
CALL = f'<AuthenticateUser xmlns="{NAMESPACE}">{REQUEST}</AuthenticateUser>'
LIMIT = 1.0  # seconds: a bomb takes minutes or all memory


def envelope(body=CALL, header="", soap=S11):
    return f'<s:Envelope xmlns:s="{soap}">{header}<s:Body>{body}</s:Body></s:Envelope>'


@pytest.fixture
def asked(one_portal):
    one_portal.decide(ALLOWING)
    one_portal.add("ana")
    http = Client(one_portal.web)

    def ask(text, kind="text/xml; charset=utf-8", **headers):
        data = text.encode() if isinstance(text, str) else text
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        began = time.monotonic()
        answer = http.post("/soap/users", data=data, content_type=kind, headers=names, base_url="http://localhost")
        assert time.monotonic() - began < LIMIT
        return answer

    return ask


def fault(answer, status=500, version=S11):
    assert answer.status_code == status, answer.text
    root = etree.fromstring(answer.data)
    assert root.tag == f"{{{version}}}Envelope"
    (found,) = root.iter(f"{{{version}}}Fault")
    if version == S11:
        return found.findtext("faultcode"), found.findtext("faultstring")
    return found.findtext(f".//{{{version}}}Value"), found.findtext(f".//{{{version}}}Text")


def test_both_versions_are_answered_as_they_asked(asked):
    assert asked(envelope()).status_code == 200
    answer = asked(envelope(soap=S12), f'application/soap+xml; charset=utf-8; action="{ACTION}"')
    assert (answer.status_code, answer.content_type) == (200, "application/soap+xml; charset=utf-8")
    assert etree.fromstring(answer.data).tag == f"{{{S12}}}Envelope"


@pytest.mark.parametrize("action", [f'"{ACTION}"', ACTION, '""', ""])
def test_the_action_may_be_quoted_bare_or_empty(asked, action):
    assert asked(envelope(), SOAPAction=action).status_code == 200


def test_another_action_is_a_fault_that_names_the_right_one(asked):
    code, said = fault(asked(envelope(), SOAPAction='"urn:other"'))
    assert code == "soap:Client"
    assert ACTION in said
    assert "urn:other" not in said
    kind = 'application/soap+xml; action="urn:other"'
    assert fault(asked(envelope(soap=S12), kind), 400, S12)[0] == "soap:Sender"


# after a mere warning the parser forgets what was wrong with namespaces before
WARNED = '<a xmlns="?"/>'
BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)
EVIL = {
    "external entity": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + envelope("<a>&x;</a>"),
    "parameter entity": '<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]>' + envelope(),
    "external subset": '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x.dtd">' + envelope(),
    "entity expansion": BOMB + "]>" + envelope("<a>&j;</a>"),
    "attribute by a DTD": '<!DOCTYPE r [<!ATTLIST AuthenticateUserRequest UserName CDATA "ana">]>' + envelope(),
    "undeclared entity": envelope("<a>&nbsp;</a>"),
    "stylesheet": '<?xml-stylesheet href="http://127.0.0.1:1/"?>' + envelope(),
    "include": envelope('<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>'),
    "deep": envelope("<a>" * 6_000 + "</a>" * 6_000),
    "many attributes": envelope("<a " + " ".join(f'a{n}=""' for n in range(4_000)) + "/>"),
    "many elements": envelope("<a/>" * 9_000),
    "attribute twice": envelope(
        f'<AuthenticateUser xmlns="{NAMESPACE}"><Request UserName="a" UserName="b"/></AuthenticateUser>'
    ),
    "long name": envelope(f"<{'a' * 60_000}/>"),
    "cut off": envelope()[:-9],
    "nothing": "",
    "no XML": "user=ana",
    "NUL": envelope().replace("ana", "a\0a"),
    "XML 1.1": '<?xml version="1.1"?>' + envelope(),
    "prefix of nothing": envelope(f"<q:Request>{WARNED}</q:Request>"),
    "prefix of nothing outermost": f"<q:Envelope>{WARNED}</q:Envelope>",
    "brace in a namespace": envelope(f'<q:Request xmlns:q="aaaa}}b">{WARNED}</q:Request>'),
    "prefix of a reserved namespace": envelope(f'<q:a xmlns:q="http://www.w3.org/2000/xmlns/">{WARNED}</q:a>'),
}


@pytest.mark.parametrize("name", EVIL)
def test_what_is_dangerous_or_no_xml_is_refused_in_time_without_a_word_of_it(asked, name):
    answer = asked(EVIL[name])
    assert answer.status_code in {400, 500}
    code, said = fault(answer, answer.status_code)
    assert code == "soap:Client"
    assert len(said) > 20
    bounds = name in {"deep", "many attributes", "many elements", "long name"}
    assert said.startswith("The request has more than 32 elements within each other") == bounds
    for leak in ("root:", "127.0.0.1", "aaaa", PASSWORD, "lxml", "Traceback"):
        assert leak not in answer.text


SHAPES = {
    "two bodies": f'<s:Envelope xmlns:s="{S11}"><s:Body>{CALL}</s:Body><s:Body>{CALL}</s:Body></s:Envelope>',
    "a body in the header": envelope("", f"<s:Header><s:Body>{CALL}</s:Body></s:Header>"),
    "two operations": envelope(CALL + CALL),
    "two requests": envelope(CALL.replace(REQUEST, REQUEST * 2)),
    "both names": envelope(CALL.replace(REQUEST, REQUEST + REQUEST.replace("AuthenticateUserRequest", "Request"))),
    "another operation": envelope(f'<DeleteUser xmlns="{NAMESPACE}"/>'),
    "another namespace": envelope(CALL.replace(NAMESPACE, "urn:x")),
    "a request of another namespace": envelope(CALL.replace(REQUEST, REQUEST.replace(" ", ' xmlns="" ', 1))),
    "no request": envelope(CALL.replace(REQUEST, "")),
    "text": envelope(CALL.replace(REQUEST, f"ana{REQUEST}")),
    "elements instead of attributes": envelope(
        f'<AuthenticateUser xmlns="{NAMESPACE}"><Request><UserName>ana</UserName></Request></AuthenticateUser>'
    ),
    "another attribute": envelope(CALL.replace("UserName", "Username")),
    "no envelope": CALL,
    "something behind the body": f'<s:Envelope xmlns:s="{S11}"><s:Body>{CALL}</s:Body><x/></s:Envelope>',
    "an empty body": envelope(""),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_message_of_another_shape_is_refused_and_nobody_is_judged(asked, name):
    code, said = fault(asked(SHAPES[name]), 500)
    assert code == "soap:Client"
    assert len(said) > 20


def test_an_envelope_of_the_other_version_is_told_apart(asked):
    code, said = fault(asked(envelope(soap=S12)))
    assert code == "soap:VersionMismatch"
    assert "application/soap+xml" in said
    answer = asked(envelope(), "application/soap+xml")
    assert fault(answer, 500, S12)[0] == "soap:VersionMismatch"
    assert etree.fromstring(answer.data).findall(f".//{{{S12}}}SupportedEnvelope")


def test_headers_are_passed_over_unless_they_have_to_be_understood(asked):
    block = '<s:Header><w:Security xmlns:w="urn:w" {}/></s:Header>'
    assert asked(envelope(header=block.format(""))).status_code == 200
    assert asked(envelope(header=block.format('s:mustUnderstand="0"'))).status_code == 200
    elsewhere = 's:mustUnderstand="1" s:actor="urn:somebody-else"'
    assert asked(envelope(header=block.format(elsewhere))).status_code == 200
    assert fault(asked(envelope(header=block.format('s:mustUnderstand="1"'))))[0] == "soap:MustUnderstand"
    answer = asked(envelope(header=block.format('s:mustUnderstand="true"'), soap=S12), "application/soap+xml")
    assert fault(answer, 500, S12)[0] == "soap:MustUnderstand"
    (named,) = etree.fromstring(answer.data).findall(f".//{{{S12}}}NotUnderstood")
    assert str(named.get("qname")).endswith(":Security")


@pytest.mark.parametrize("namespace", ["a b", "\\", "http://[", "%zz"])
def test_a_header_whose_namespace_is_no_uri_is_not_understood_either(asked, namespace):
    header = f'<s:Header><w:Security xmlns:w="{namespace}" s:mustUnderstand="1"/>{WARNED}</s:Header>'
    answer = asked(envelope(header=header, soap=S12), "application/soap+xml")
    assert fault(answer, 500, S12)[0] == "soap:MustUnderstand"


@pytest.mark.parametrize("kind", ["application/json", "multipart/related; type=text/xml", "text/plain", ""])
def test_another_type_of_body_is_refused(asked, kind):
    assert fault(asked(envelope(), kind), 415)[0] == "soap:Client"


@pytest.mark.parametrize(
    ("octets", "kind", "status"),
    [
        (b"\xef\xbb\xbf" + envelope().encode(), "text/xml", 200),
        (envelope().encode("utf-16"), "text/xml", 200),
        (b'<?xml version="1.0" encoding="utf-8"?>' + envelope().encode(), "text/xml; charset=utf-8", 200),
        (b'<?xml version="1.0" encoding="utf-7"?>' + envelope().encode(), "text/xml", 400),
        (envelope().replace("ana", "\xe4").encode("latin-1"), "text/xml", 400),
        (envelope().encode(), "text/xml; charset=utf-7", 415),
    ],
)
def test_encodings_are_read_or_refused_and_never_guessed(asked, octets, kind, status):
    assert asked(octets, kind).status_code == status


def test_a_megabyte_is_refused(asked):
    assert fault(asked(envelope() + " " * 1_000_000), 413)[0] == "soap:Client"


def test_compressed_bodies_are_refused(asked):
    assert asked(envelope(), Content_Encoding="gzip").status_code == 415


def test_other_methods_and_pages_of_other_sites_are_faults(one_portal, asked):
    http = Client(one_portal.web)
    answer = http.get("/soap/users", base_url="http://localhost")
    assert fault(answer, 405)[0] == "soap:Client"
    assert "POST" in answer.headers["Allow"]
    assert fault(asked(envelope(), Sec_Fetch_Site="cross-site"), 400)[0] == "soap:Client"


def test_an_address_that_asks_too_often_hears_a_fault_with_the_wait(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_starts_per_address=1) as portal:
        http = Client(portal.web)
        send = lambda: http.post("/soap/users", data=envelope(), content_type="text/xml", base_url="http://localhost")  # noqa: E731
        send()
        answer = send()
    assert fault(answer, 429)[0] == "soap:Server"
    assert int(answer.headers["Retry-After"]) > 0


def test_who_is_not_allowed_is_answered_like_nobody(one_portal, asked):
    one_portal.add("bob", home="other")

    def plain(name):
        answer = asked(envelope(CALL.replace('"ana"', f'"{name}"')))
        kept = {key: value for key, value in answer.headers.items() if key not in {"X-Request-Id", "Date"}}
        return answer.status_code, answer.data, kept

    assert plain("bob") == plain("nobody") == plain("a&#x202E;b")


def test_the_namespace_is_a_setting(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, soap_namespace="urn:acme:users") as portal:
        portal.decide(ALLOWING)
        portal.add("ana")
        http = Client(portal.web)
        text = envelope(CALL.replace(NAMESPACE, "urn:acme:users"))
        answer = http.post("/soap/users", data=text, content_type="text/xml", base_url="http://localhost")
        assert b'xmlns="urn:acme:users"' in answer.data
        assert b"urn:acme:users/IUserService" in http.get("/soap/users?wsdl", base_url="http://localhost").data
        old = http.post("/soap/users", data=envelope(), content_type="text/xml", base_url="http://localhost")
        assert old.status_code == 500


# ---- replies


@pytest.fixture(scope="module")
def schema():
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader("templates"), autoescape=True)
    text = environment.get_template("soap/users.xml").render(namespace=NAMESPACE, address="http://x", action=ACTION)
    (found,) = etree.fromstring(text.encode()).iter("{http://www.w3.org/2001/XMLSchema}schema")
    return etree.XMLSchema(etree.fromstring(etree.tostring(found)))  # with the prefixes of what is around it


texts = st.text(max_size=60)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=texts,
    account=st.text(min_size=1, max_size=60),  # an organization has a name
    said=texts,
    success=st.booleans(),
    version=st.sampled_from(list(Version)),
    primary=st.booleans(),
)
def test_every_reply_is_valid_by_the_schema_whatever_people_are_called(
    schema, name, account, said, success, version, primary
):
    result = Result(
        success=success,
        token="x",
        user_name=name,
        first_name=name,
        accounts=(UserAccount(account, "821ae27f-027c-4f21-a2e5-1667fc9b650a", primary),) if success else (),
        exceptions=() if success else (UserException(said, Severity.ERROR),),
    )
    octets = rules.reply(result, version, NAMESPACE)
    (body,) = etree.fromstring(octets).iter(f"{{{version.namespace}}}Body")
    schema.assertValid(etree.ElementTree(body[0]))
    shown = body[0][0].get("UserName", "")
    kept = rules._NOT_XML.sub("\N{REPLACEMENT CHARACTER}", name)
    # XML itself makes blanks of breaks in an attribute, unless they are written as references, as ours are
    assert shown == kept
