"""SOAP messages as bytes: a request is taken apart within narrow bounds, a reply is put together.

Nothing outside of the bytes is ever looked at: no DTD, no entity but XML's own five, no address.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Any

from lxml import etree

from app.journeys.soap.model import OPERATION, Blame, Call, Result, Unreadable, Version

DEEPEST = 32  # elements within each other: an envelope of ours has four, a header of others some more
MOST_ELEMENTS = 1_000
MOST_ATTRIBUTES = 64  # of one element
_TOO_MUCH = (
    f"The request has more than {DEEPEST} elements within each other, {MOST_ELEMENTS} elements, "
    f"{MOST_ATTRIBUTES} attributes in one of them, or a very long name."
)
_PARSERS_BOUNDS = frozenset({etree.ErrorTypes.ERR_RESOURCE_LIMIT, etree.ErrorTypes.ERR_NAME_TOO_LONG})
_REQUESTS = ("AuthenticateUserRequest", "Request")
_XML = "http://www.w3.org/XML/1998/namespace"
_RESERVED = frozenset({_XML, "http://www.w3.org/2000/xmlns/"})  # no prefix of ours may stand for them
_NEXT = frozenset(
    {
        "",
        "http://schemas.xmlsoap.org/soap/actor/next",
        f"{Version.V12.namespace}/role/next",
        f"{Version.V12.namespace}/role/ultimateReceiver",
    }
)  # whom a header is for, where it is for us
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DECLARATION = re.compile(
    r"""<\?xml\s+version\s*=\s*["']1\.0["'](?:\s+encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["'])?"""
    r"""(?:\s+standalone\s*=\s*["'](?:yes|no)["'])?\s*\?>"""
)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# ---- what comes in


def action(namespace: str) -> str:
    """The action of the one operation, as the SOAPAction header and SOAP 1.2's parameter name it."""
    return f"{namespace}{'' if namespace.endswith('/') else '/'}IUserService/{OPERATION}"


def read(octets: bytes, version: Version, charset: str, namespace: str) -> Call:
    """Take a request apart. ``charset`` is what HTTP says, empty where it does not. Raises Unreadable."""
    envelope = _parsed(_decoded(octets, charset))
    if envelope.tag != f"{{{version.namespace}}}Envelope":
        raise _no_envelope(envelope, version)
    parts = _children(envelope)
    named = [etree.QName(part) for part in parts]
    shape = [name.localname for name in named if name.namespace == version.namespace]
    if len(shape) != len(parts) or shape not in (["Body"], ["Header", "Body"]):
        raise Unreadable(Blame.CLIENT, "An Envelope has one Body, with at most one Header before it, and nothing else.")
    if len(parts) > 1:
        _look_at_the_header(parts[0], version)
    return _call(parts[-1], namespace)


def _decoded(octets: bytes, charset: str) -> str:
    """The text without its XML declaration: UTF-8, or UTF-16 with a byte order mark, whoever says so."""
    mark, encoding = next(((mark, name) for mark, name in _BOMS if octets.startswith(mark)), (b"", "utf-8"))
    sentence = "Only UTF-8, and UTF-16 with a byte order mark, are read; HTTP and the XML declaration have to agree."
    if charset and charset.lower() != encoding:
        raise Unreadable(Blame.CLIENT, sentence, status=415)
    try:
        text = octets.removeprefix(mark if encoding == "utf-8" else b"").decode(encoding)
    except UnicodeDecodeError:
        raise Unreadable(Blame.CLIENT, f"The bytes are not {encoding.upper()}. {sentence}", status=400) from None
    if not text.startswith("<?xml"):
        return text
    declaration = _DECLARATION.match(text)
    if declaration is None:
        raise Unreadable(Blame.CLIENT, "The XML declaration is not one of XML 1.0.", status=400)
    if (declaration[1] or encoding).lower() != encoding:
        raise Unreadable(Blame.CLIENT, sentence, status=400)
    return text[declaration.end() :]


def _parsed(text: str) -> "etree._Element":
    # neither can stand in an attribute; in comments and CDATA nobody needs them. No parser's word is taken for it.
    for sign, what in (("<!DOCTYPE", "document type declaration"), ("<?", "processing instruction")):
        if sign in text:
            raise Unreadable(Blame.CLIENT, f"A SOAP message has no {what}.", status=400)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        if getattr(error, "code", 0) in _PARSERS_BOUNDS:  # the stubs do not know it
            raise Unreadable(Blame.CLIENT, _TOO_MUCH, status=400) from None
        # its own words repeat what was sent
        place = f" (line {error.lineno})" if error.lineno else ""
        raise Unreadable(Blame.CLIENT, f"The request is not well-formed XML{place}.", status=400) from None
    _measure(root)
    return root


def _measure(root: "etree._Element") -> None:
    depth = elements = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            depth -= 1
            continue
        depth += 1
        elements += 1
        if depth > DEEPEST or elements > MOST_ELEMENTS or len(element.attrib) > MOST_ATTRIBUTES:
            raise Unreadable(Blame.CLIENT, _TOO_MUCH, status=400)
        try:
            etree.QName(element)
        except ValueError:  # its prefix is bound to nothing, which the parser lets pass, or to what is no namespace
            raise Unreadable(Blame.CLIENT, "The request has an element without a proper name.", status=400) from None


def _no_envelope(root: "etree._Element", version: Version) -> Unreadable:
    sentence = f"The outermost element has to be Envelope in the namespace {version.namespace}"
    for other in Version:
        if root.tag == f"{{{other.namespace}}}Envelope":
            sentence += f"; an envelope in the namespace {other.namespace} comes as {other.media_type}"
    mismatch = version is Version.V12 or etree.QName(root).localname == "Envelope"
    return Unreadable(Blame.VERSION_MISMATCH if mismatch else Blame.CLIENT, f"{sentence}.")


def _children(element: "etree._Element") -> "list[etree._Element]":
    """The elements within an element. Raises Unreadable where there is text between them."""
    if any(text and text.strip(" \t\r\n") for text in (element.text, *(child.tail for child in element))):
        # the name is one of those that were looked for
        raise Unreadable(Blame.CLIENT, f"Text stands in {etree.QName(element).localname}, where elements belong.")
    return list(element)


def _look_at_the_header(header: "etree._Element", version: Version) -> None:
    """No header is understood here: those that have to be are refused, all others are passed over."""
    misunderstood = []
    whose = "actor" if version is Version.V11 else "role"
    true = {"1"} if version is Version.V11 else {"1", "true"}
    false = {"0"} if version is Version.V11 else {"0", "false"}
    for block in _children(header):
        said = (block.get(f"{{{version.namespace}}}mustUnderstand") or "0").strip()
        if said not in true | false:
            raise Unreadable(Blame.CLIENT, "mustUnderstand is neither 0 nor 1.")
        for_us = (block.get(f"{{{version.namespace}}}{whose}") or "").strip() in _NEXT
        if said in true and for_us:
            misunderstood.append(str(block.tag))
    if misunderstood:
        raise Unreadable(
            Blame.MUST_UNDERSTAND,
            "A header has to be understood, and this service understands none: send no header with mustUnderstand.",
            misunderstood=misunderstood,
        )


def _call(body: "etree._Element", namespace: str) -> Call:
    wanted = f"in the namespace {namespace} or in none"
    asked = _children(body)
    if len(asked) != 1:
        raise Unreadable(Blame.CLIENT, f"A Body has one element: {OPERATION}, {wanted}.")
    name = etree.QName(asked[0])
    own = name.namespace or ""
    if name.localname != OPERATION or own not in {namespace, ""}:
        raise Unreadable(Blame.CLIENT, f"This service has one operation: {OPERATION}, {wanted}.")
    requests = _children(asked[0])
    names = [etree.QName(one) for one in requests]
    if len(names) != 1 or names[0].localname not in _REQUESTS or (names[0].namespace or "") != own:
        raise Unreadable(Blame.CLIENT, f"{OPERATION} has one element, {' or '.join(_REQUESTS)}, in its own namespace.")
    request = requests[0]
    if _children(request):
        raise Unreadable(Blame.CLIENT, f"{names[0].localname} has attributes alone, and no elements.")
    values = {str(key): str(value) for key, value in request.attrib.items() if not str(key).startswith("{")}
    if not values.keys() <= {"UserName", "Password"}:
        raise Unreadable(Blame.CLIENT, f"{names[0].localname} has the attributes UserName and Password, and no others.")
    return Call(own, values.get("UserName", ""), values.get("Password", ""))


# ---- what goes out


def status_of(refusal: Unreadable, version: Version) -> int:
    """HTTP's status of a fault (SOAP 1.1 sec. 6.2, SOAP 1.2 part 2 sec. 7.5.2.2)."""
    sender = version is Version.V12 and refusal.blame is Blame.CLIENT
    return refusal.status or (400 if sender else 500)


def reply(result: Result, version: Version, namespace: str) -> bytes:
    """An envelope with what came of it, in the namespace of the request."""
    envelope, body = _envelope(version)
    response = _add(body, namespace, f"{OPERATION}Response", nsmap={None: namespace} if namespace else None)
    attributes = {
        "Success": _boolean(result.success),
        "AuthenticationToken": result.token,
        "UserName": result.user_name,
        "FirstName": result.first_name,
        "LastName": result.last_name,
        "ExpiredPasswordUrl": result.expired_password_url,
        "ChangePasswordUrl": result.change_password_url,
        "UpdateSecurityQuestionUrl": result.update_security_question_url,
    }
    inner = _add(response, namespace, f"{OPERATION}Result", attributes.items())
    if result.accounts:
        accounts = _add(inner, namespace, "Accounts")
        for one in result.accounts:
            pairs = (
                ("Name", one.name),
                ("ContextIdentifier", one.context_identifier),
                ("IsPrimary", _boolean(one.is_primary)),
            )
            _add(accounts, namespace, "UserAccount", pairs)
    if result.exceptions:
        exceptions = _add(inner, namespace, "Exceptions")
        for said in result.exceptions:
            _add(exceptions, namespace, "UserException", (("Severity", said.severity.value),)).text = _fit(said.text)
    return _octets(envelope)


def fault(refusal: Unreadable, version: Version) -> bytes:
    """An envelope with a Fault: a code and a sentence."""
    envelope, body = _envelope(version)
    soap = version.namespace
    inner = _add(body, soap, "Fault")
    if version is Version.V11:
        _add(inner, "", "faultcode").text = f"soap:{refusal.blame.value}"
        _add(inner, "", "faultstring").text = _fit(refusal.sentence)
        return _octets(envelope)
    names = {Blame.CLIENT: "Sender", Blame.SERVER: "Receiver"}
    _add(_add(inner, soap, "Code"), soap, "Value").text = f"soap:{names.get(refusal.blame, refusal.blame.value)}"
    text = _add(_add(inner, soap, "Reason"), soap, "Text", ((f"{{{_XML}}}lang", "en"),))
    text.text = _fit(refusal.sentence)
    blocks = list(_header_blocks(refusal))
    if blocks:
        header = etree.Element(f"{{{soap}}}Header", nsmap={"soap": soap})
        header.extend(blocks)
        envelope.insert(0, header)
    return _octets(envelope)


def _header_blocks(refusal: Unreadable) -> "Iterator[etree._Element]":
    """What SOAP 1.2 tells beside two of its faults (part 1 sec. 5.4.7 and 5.4.8)."""
    soap = Version.V12.namespace
    for name in map(etree.QName, refusal.misunderstood):
        if name.namespace and name.namespace not in _RESERVED:
            try:
                block = etree.Element(f"{{{soap}}}NotUnderstood", nsmap={"soap": soap, "n": name.namespace})
            except ValueError:  # no URI: it is read, and cannot be written
                continue
            block.set("qname", f"n:{name.localname}")
            yield block
    if refusal.blame is Blame.VERSION_MISMATCH:
        upgrade = etree.Element(f"{{{soap}}}Upgrade", nsmap={"soap": soap})
        for version in reversed(Version):
            _add(upgrade, soap, "SupportedEnvelope", (("qname", "e:Envelope"),), nsmap={"e": version.namespace})
        yield upgrade


def _envelope(version: Version) -> "tuple[etree._Element, etree._Element]":
    envelope = etree.Element(f"{{{version.namespace}}}Envelope", nsmap={"soap": version.namespace})
    return envelope, _add(envelope, version.namespace, "Body")


def _add(
    parent: "etree._Element",
    namespace: str,
    name: str,
    attributes: Iterable[tuple[str, str]] = (),
    nsmap: Any = None,  # the stubs know of no default namespace, which is None
) -> "etree._Element":
    """An element at the end of another, with those attributes that are not empty, in their order."""
    element = etree.SubElement(parent, f"{{{namespace}}}{name}" if namespace else name, nsmap=nsmap)
    for key, value in attributes:
        if value:
            element.set(key, _fit(value))
    return element


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _fit(text: str) -> str:
    """Text as XML can carry it at all (XML 1.0 sec. 2.2): what it cannot is replaced, never dropped unseen."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _octets(root: "etree._Element") -> bytes:
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True))
