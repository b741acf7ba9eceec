"""What the schema allows, and what it does not, sent by Schemathesis: no answer is a fault, and all fit the schema.

XLNU_FUZZ says how many requests an operation gets: 60 in CI; 700 and more make the 5,000 of a thorough run.
"""

import os
from collections import Counter
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, strategies
from schemathesis import checks

from tests.serve.serving import Server

EACH = int(os.environ.get("XLNU_FUZZ", "60"))
OPERATIONS = [
    ("POST", "/v1/classify"), ("POST", "/v1/choose"), ("POST", "/v1/similarity"), ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"), ("GET", "/v1/models/{name}"), ("GET", "/v1/languages"),
]  # fmt: skip
CHECKS: list[Any] = [
    checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_schema_conformance, checks.response_headers_conformance, checks.negative_data_rejection,
]  # fmt: skip
# Of what fits a schema, few texts name a language by chance.
schemathesis.openapi.format(
    "language", strategies.sampled_from(["en", "qaa_Latn", "qab_Cyrl", "zh", "sw", "English"])
)
STATUSES = Counter[int]()


CASES = [("positive", *one) for one in OPERATIONS]
CASES += [("negative", *one) for one in OPERATIONS if one[0] == "POST" or one[1] == "/v1/languages"]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("mode", "method", "path"), CASES)
def test_no_request_breaks_it(mode: str, method: str, path: str, served: Server) -> None:
    schema = schemathesis.openapi.from_url(f"{served.address}/openapi.json")
    schema.config.generation.update(modes=[schemathesis.GenerationMode(mode)])
    operation = schema[path][method]
    strategy = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))
    many = EACH if method == "POST" else max(10, EACH // 4)

    @hypothesis.given(case=strategy)
    @hypothesis.settings(
        max_examples=many, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def send(case: Any) -> None:
        answer = case.call(timeout=60)
        STATUSES[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    send()


def test_answers_of_all_kinds_were_seen() -> None:
    assert STATUSES[200] > 20, STATUSES
    assert STATUSES[422] > 100, STATUSES
