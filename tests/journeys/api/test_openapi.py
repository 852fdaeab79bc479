"""The description of the API holds: whatever is sent, no 5xx and nothing that is not written down."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from tests.programs import ALLOWING, basic, make_client


@pytest.fixture
def api(one_portal):
    one_portal.decide(ALLOWING)
    one_portal.add("ana")
    client = make_client(one_portal)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", one_portal.web, base_url="http://localhost")
    return one_portal, schema, basic(*client)


def test_it_is_an_openapi_document_of_the_doors_that_there_are(api):
    portal, schema, _ = api
    assert schema.specification.version == "3.1.0"
    described = {(path, method.upper()) for path, item in schema.raw_schema["paths"].items() for method in item}
    doors = {
        (rule.rule, method)
        for rule in portal.web.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == doors


@pytest.mark.parametrize("named", [True, False], ids=["client", "nobody"])
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_whatever_is_sent_is_answered_as_it_is_described(api, named, mode):
    _, schema, credentials = api
    headers = {"Authorization": credentials} if named else {}
    for result in schema.get_all_operations():
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue  # it takes nothing that could be wrong

        @settings(
            max_examples=60,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def walk(case):
            case.call_and_validate(headers=headers)

        walk()
