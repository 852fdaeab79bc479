"""Screenshots of the gallery: `python -m tests.pages.shots [FOLDER] [CASE…]`, light and dark, phone and desktop."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.pages.gallery import CASES, Gallery, serving
from tests.services import find_chromium

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright: Playwright) -> Browser:
    """Chromium, silent and headless."""
    return playwright.chromium.launch(executable_path=str(find_chromium()), args=ARGUMENTS)


def main(folder: Path, names: list[str]) -> None:
    """Four pictures of each case; the German ones on the phone only."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving(Gallery()) as address, sync_playwright() as playwright:
        browser = launch(playwright)
        for language, width, scheme in (
            ("en", 390, "light"),
            ("en", 390, "dark"),
            ("en", 1280, "light"),
            ("en", 1280, "dark"),
            ("de", 390, "light"),
        ):
            context = browser.new_context(
                viewport={"width": width, "height": 780},
                color_scheme=scheme,  # type: ignore[arg-type]
                reduced_motion="reduce",
            )
            page = context.new_page()
            for name in names:
                page.goto(f"{address}/{language}/{name}")
                page.screenshot(path=folder / f"{name}.{language}.{width}.{scheme}.png", full_page=True)
            context.close()
        browser.close()


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.gettempdir()) / "shots"
    main(where, sys.argv[2:] or list(CASES))
