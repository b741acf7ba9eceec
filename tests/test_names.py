"""What tests are called must not hang on when or where they were collected: side by side, all must agree."""

import pytest


@pytest.mark.parametrize("data", [b"made at 12:00:00", b"made at 12:00:01"])
def test_bytes_are_no_part_of_a_tests_name(data: bytes, request: pytest.FixtureRequest) -> None:
    assert request.node.callspec.id == f"data{int(data[-1:])}"
