"""What every page needs: languages, static files by content hash, the brand."""

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, abort, g, redirect, request
from flask.globals import request_ctx
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from app.foundation.i18n import LANGUAGES, catalogue, choose
from app.foundation.settings import ROOT, Settings
from app.foundation.web.browser import LANGUAGE, read_cookie, write_cookie

_MOST_ASKED = 256  # characters
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Support:
    """Whom to ask, the same on every page (WCAG 3.2.6)."""

    phone: str
    email: str
    hours: str


class StaticFiles:
    """The files of static/ and the brand's colours, each under a path with its content's hash: cached for good."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._files: dict[str, tuple[str, bytes, str]] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._add(path.relative_to(folder).as_posix(), path.read_bytes())
        self._add("brand.css", f":root{{--brand:{settings.brand_colour}}}\n".encode())
        # modules import each other by name, so all scripts share one hash in their path
        together = hashlib.sha256(b"".join(data for _, data, _ in self._files.values())).hexdigest()[:16]
        self._hash = together

    def _add(self, name: str, data: bytes) -> None:
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._files[name] = (name, data, kind)

    def url(self, name: str) -> str:
        """The path of a file; KeyError where there is none."""
        return f"/static/{self._hash}/{self._files[name][0]}"

    def blueprint(self) -> Blueprint:
        """Serves the files."""
        blueprint = Blueprint("static_files", __name__)

        @blueprint.get("/static/<digest>/<path:name>")
        def static_file(digest: str, name: str) -> Response:
            if digest != self._hash or name not in self._files:
                abort(404)
            _, data, kind = self._files[name]
            response = Response(data, mimetype=kind)
            response.headers["Cache-Control"] = _FOREVER
            return response

        return blueprint


def install(app: Flask, settings: Settings) -> None:
    """Give the templates their globals and the application its languages and files."""
    files = StaticFiles(ROOT / "static", settings)
    support = Support(settings.support_phone, settings.support_email, settings.support_hours)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: catalogue(g.language).gettext(text),
        lambda one, many, n: catalogue(g.language).ngettext(one, many, n),
        newstyle=True,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        languages=LANGUAGES, brand_name=settings.brand_name, static_url=files.url, support=support, demo=settings.demo
    )

    @app.before_request
    def choose_language() -> None:
        chosen = read_cookie(LANGUAGE)
        if chosen not in LANGUAGES:
            # the head of a long list: parsing all of one costs a hundred times a page
            chosen = _asked(request.headers.get("Accept-Language", "")[:_MOST_ASKED], settings.default_language)
        g.language = chosen

    @app.context_processor
    def page() -> dict[str, Any]:
        return {"language": g.get("language", "en"), "path": request.path}

    blueprint = Blueprint("language", __name__)

    @blueprint.post("/language")
    def change_language() -> Any:
        wanted = request.form.get("language", "")
        if wanted not in LANGUAGES:
            abort(400)
        response = redirect(own_page(request.form.get("next", "/")), 303)
        write_cookie(response, LANGUAGE, wanted)  # type: ignore[arg-type]
        return response

    app.register_blueprint(blueprint)
    app.register_blueprint(files.blueprint())


def own_page(path: str) -> str:
    """A page of this site that a GET can open; the answer to a form may stand where none can."""
    own = _own_path(path)
    return own if opens(own) else "/"


def opens(path: str) -> bool:
    """Whether a GET of that path is a page of this application."""
    return bool(request_ctx.url_adapter and request_ctx.url_adapter.test(path.partition("?")[0], "GET"))


@lru_cache(maxsize=256)
def _asked(header: str, fallback: str) -> str:
    """What a browser asks for; browsers send a few dozen different headers."""
    asked = parse_accept_header(header, LanguageAccept)
    return choose([tag for tag, quality in asked if quality > 0], fallback)  # 0 means "not this one"


def _own_path(path: str) -> str:
    """A path of this site, never another's (no open redirect)."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable()
    return path if plain and len(path) < 256 and "\\" not in path else "/"
