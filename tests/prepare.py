"""Bring what the tests need onto a bare Debian machine: ``python -m tests.prepare``.

As root it installs what is lacking; without, it names what is lacking and what will be left out. With
CI=true anything that is lacking in the end is an error (exit status 1).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from tests import services


@dataclass(frozen=True, slots=True)
class Part:
    """A Debian package, how to see that it is there, and what is left out without it."""

    package: str
    find: Callable[[], Path]
    left_out: str


def find_font() -> Path:
    """A font that browsers can draw with. Raises Missing."""
    for folder in (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts"):
        for ending in ("ttf", "otf", "pfb", "woff2"):
            for font in folder.rglob(f"*.{ending}"):
                return font
    raise services.Missing("a font (fonts-dejavu-core)")


PARTS = (
    Part("postgresql", services.find_postgresql, "every test on PostgreSQL"),
    Part("redis-server", services.find_redis, "every test on Redis"),
    Part("chromium", services.find_chromium, "every test in a browser"),
    Part("fonts-dejavu-core", find_font, "browser tests that look at text"),
    Part("oathtool", services.find_oathtool, "codes of an independent authenticator"),
    Part("curl", services.find_curl, "the examples of docs/api.md"),
)
# comes with the Python dependencies, except on machines that it has no wheel for
VALKEY = Part("valkey-server", services.find_valkey, "every test on Valkey")


def lacking() -> dict[Part, str]:
    """The parts that are not there, each with what is missing."""
    found: dict[Part, str] = {}
    for part in (*PARTS, VALKEY):
        try:
            part.find()
        except services.Missing as missing:
            found[part] = str(missing)
    return found


def install(packages: list[str]) -> None:
    """Install by apt-get; it fetches its lists anew only where they do not know a package."""
    options = ["-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *options, "install", "--no-install-recommends", *packages]
    click.echo(f"installing {', '.join(packages)}")
    if any(Path("/var/lib/apt/lists").glob("*_Packages*")):
        done = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode == 0:
            return
    subprocess.run(["apt-get", *options, "update"], env=environment, check=False, stdout=subprocess.DEVNULL)
    done = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        click.echo(done.stdout.decode(errors="replace")[-2000:], err=True)


def main() -> int:
    """0 when all is there, or when it may be left out."""
    wanted = lacking()
    if wanted and os.geteuid() == 0 and shutil.which("apt-get"):
        install([part.package for part in wanted if part is not VALKEY])
        wanted = lacking()
    for part, what in wanted.items():
        click.echo(f"This machine lacks {what}: {part.left_out} will be left out.", err=True)
    if wanted and os.geteuid() != 0:
        click.echo(f"To have all: sudo apt-get install {' '.join(part.package for part in wanted)}", err=True)
    return 1 if wanted and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
