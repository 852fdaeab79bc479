"""The sentences and their translations: `make messages` extracts, merges and compiles; `make check` compares.

Sources are the templates, messages included, and `_()` in app/. English is the language of the source and has
no file. In each other language a sentence that is missing, fuzzy, empty or without its placeholders fails the
check, and so do sentences that nobody says any more and a compiled catalogue that is not what its source makes.
"""

import io
import sys
from collections.abc import Iterable
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
DOMAIN = "keyturn"
LANGUAGES = ("de",)
_JINJA = {"newstyle_gettext": "true", "trimmed": "false", "silent": "false"}


def extract() -> Catalog:
    """Every sentence of the source, with the files that say it."""
    said = Catalog(project="Keyturn", domain=DOMAIN)
    for folder, methods in (
        ("templates", [("**.html", "jinja2"), ("**.txt", "jinja2")]),
        ("app", [("**.py", "python")]),
    ):
        options = {pattern: _JINJA for pattern, method in methods if method == "jinja2"}
        for name, _line, text, comments, context in extract_from_dir(ROOT / folder, methods, options):
            said.add(text, locations=[(f"{folder}/{name}", 0)], auto_comments=comments, context=context)
    return said


def source(language: str) -> Path:
    """The catalogue that people edit."""
    return ROOT / "translations" / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: str) -> Catalog:
    """A language's catalogue as it stands, or an empty one."""
    path = source(language)
    if not path.exists():
        return Catalog(locale=language, project="Keyturn", domain=DOMAIN)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def merge(language: str, said: Catalog) -> None:
    """Bring a catalogue up to what is said, without guesses; its dates stay, so that nothing changes for nothing."""
    catalogue = read(language)
    created = catalogue.creation_date
    catalogue.update(said, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.fuzzy = False
    name = catalogue.locale.english_name if catalogue.locale else language
    catalogue.header_comment = f"# Keyturn in {name}. Written by hand; `make messages` merges and compiles."
    catalogue.version, catalogue.msgid_bugs_address = "", ""
    catalogue.last_translator, catalogue.language_team = "Keyturn", "Keyturn"
    catalogue.creation_date = catalogue.revision_date = created
    path = source(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalogue, width=120, sort_by_file=True, include_lineno=False, omit_header=False)


def compile_(language: str) -> bytes:
    """The bytes that gettext reads."""
    out = io.BytesIO()
    write_mo(out, read(language))
    return out.getvalue()


def faults(language: str, said: Catalog) -> Iterable[str]:
    """What is wrong with a language, one line each."""
    catalogue = read(language)
    for message in said:
        if not message.id:
            continue
        known = catalogue.get(message.id)
        if known is None:
            yield f"not in the catalogue: {_shown(message)}"
        elif known.fuzzy or not all(known.string if isinstance(known.string, (tuple, list)) else [known.string]):
            yield f"not translated: {_shown(message)}"
        else:
            for error in known.check(catalogue):
                yield f"{error}: {_shown(message)}"
    for message in catalogue:
        if message.id and said.get(message.id) is None:
            yield f"nobody says this any more: {_shown(message)}"
    compiled = source(language).with_suffix(".mo")
    if not compiled.exists() or compiled.read_bytes() != compile_(language):
        yield "the compiled catalogue is not what its source makes: run `make messages`"


def _shown(message: Message) -> str:
    first = message.id if isinstance(message.id, str) else message.id[0]
    where = ", ".join(sorted({name for name, _ in message.locations}))
    return f"{first!r} ({where})"


def main(arguments: list[str]) -> int:
    """Exit status 0, or 1 where `--check` found something."""
    said = extract()
    wrong = 0
    for language in LANGUAGES:
        if "--check" not in arguments:
            merge(language, said)
            source(language).with_suffix(".mo").write_bytes(compile_(language))
        for fault in faults(language, said):
            wrong += 1
            print(f"{language}: {fault}", file=sys.stderr)  # noqa: T201
    if "--check" in arguments:
        return 1 if wrong else 0
    print(f"{len(said)} sentences, {wrong} to be looked at")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
