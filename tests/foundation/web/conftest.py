"""Portals that stand for a whole module: nothing that these tests ask of one changes what the next may expect."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import services
from tests.doors import EMAIL, PHONE, standing
from tests.portal import Portal

ORIGIN = "https://keyturn.example.org"
HOST = "keyturn.example.org"
# what a browser of that site sends (the Referer is wanted on https)
AT_HOME = {"HTTP_HOST": HOST, "HTTP_REFERER": f"{ORIGIN}/"}


def _peopled(portal: Portal) -> Portal:
    portal.add("jane", phone=PHONE, email=EMAIL)
    return portal


@pytest.fixture(scope="module")
def house(
    sqlite_template: Path, valkey_server: services.RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Portal]:
    """A portal at http://localhost, with Jane."""
    with standing(sqlite_template, tmp_path_factory.mktemp("house"), valkey_server.url) as portal:
        yield _peopled(portal)


@pytest.fixture(scope="module")
def secure(
    sqlite_template: Path, valkey_server: services.RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Portal]:
    """A portal at https://keyturn.example.org behind a proxy at 10.0.0.1, with Jane."""
    from ipaddress import ip_network

    proxies = (ip_network("10.0.0.1"), ip_network("fd00::/8"))
    folder = tmp_path_factory.mktemp("secure")
    with standing(sqlite_template, folder, valkey_server.url, public_url=ORIGIN, trusted_proxies=proxies) as portal:
        yield _peopled(portal)
