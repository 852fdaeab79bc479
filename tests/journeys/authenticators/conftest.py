"""Jane, who is signed in."""

import pytest

PHONE, EMAIL = "+491700000001", "jane@example.org"


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


@pytest.fixture
def browser(one_portal, jane):
    found = one_portal.browser(HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
    found.sign_in(one_portal, "jane")
    return found
