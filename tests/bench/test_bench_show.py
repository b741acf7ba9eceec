"""What is written and shown of results."""

import dataclasses
import io
import json
import re
import typing
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from xlnu.bench.document import document
from xlnu.bench.frame import Figures, Result
from xlnu.bench.show import plot, table
from xlnu.report.interface import encode, schema

PACKAGE = "xlnu.bench"
SCHEMA = schema(PACKAGE)
FAST = Result(
    name="help", baseline="eager imports", ratio=22.4, ratio_min=19.0, ratio_max=25.0, goal=5, repeats=5,
    ours=Figures(0.31, 0.3, 0.33, "s"), theirs=Figures(7.1, 6.9, 7.4, "s"),
    bound="the interpreter's own start: 0.0112 s, of which ours reaches 4 %",
)  # fmt: skip
SLOW = Result(
    name="stack", baseline="transformers generate", ratio=1.4, ratio_min=1.1, ratio_max=2.3, goal=2, repeats=5,
    ours=Figures(12345.6, 11000, 13000, "tokens/s"), theirs=Figures(8817, 8000, 9000, "tokens/s"),
    bound="memory bandwidth (ceiling not measured)",
)  # fmt: skip


def test_bench_json_holds_the_machine_and_every_figure() -> None:
    data = json.loads(encode(document([FAST, SLOW]), PACKAGE))
    assert list(data) == ["format", "machine", "benches"]
    assert data["machine"]["cores"] >= 1
    assert data["machine"]["memory_gb"] > 0.1
    assert re.fullmatch(r"3\.\d+\.\d+.*", data["machine"]["versions"]["python"])
    assert data["benches"] == [dataclasses.asdict(FAST), dataclasses.asdict(SLOW)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratio": float("nan")}, r"\$\.benches\[0\]\.ratio: nan is not of type 'number'"),
        ({"ratio": 0.0}, r"\$\.benches\[0\]\.ratio: 0\.0 is less than or equal to the minimum of 0"),
        ({"bound": ""}, r"\$\.benches\[0\]\.bound: '' should be non-empty"),
        ({"repeats": 0}, r"\$\.benches\[0\]\.repeats: 0 is less than the minimum of 1"),
        ({"ours": Figures(1, 1, float("inf"), "s")}, r"\$\.benches\[0\]\.ours\.max: inf is not of type 'number'"),
    ],
)
def test_a_wrong_result_is_not_written(change: dict[str, Any], message: str) -> None:
    encode(document([FAST]), PACKAGE)
    with pytest.raises(ValueError, match=message):
        encode(document([dataclasses.replace(FAST, **change)]), PACKAGE)


def test_an_unknown_key_is_not_written() -> None:
    found = document([FAST])
    found["machine"]["mood"] = "good"
    with pytest.raises(ValueError, match=r"\$\.machine: .*'mood' was unexpected"):
        encode(found, PACKAGE)


def test_the_schema_and_the_dataclasses_are_the_same() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    bench = SCHEMA["properties"]["benches"]["items"]
    words = {str: "string", int: "integer", float: "number"}
    for of, node in ((Result, bench), (Figures, SCHEMA["$defs"]["figures"])):
        hints = typing.get_type_hints(of)
        assert list(hints) == list(node["properties"]) == node["required"]
        for key, hint in hints.items():
            below = node["properties"][key]
            assert below["description"].endswith(".")
            assert below.get("$ref") == "#/$defs/figures" if hint is Figures else below["type"] == words[hint]
    assert list(document([])["machine"]) == SCHEMA["properties"]["machine"]["required"]


def test_the_table_is_aligned_and_narrow_and_says_what_falls_short() -> None:
    lines = table([FAST, SLOW]).splitlines()
    assert lines == [
        "bench  ratio  min to max  goal             ours          theirs",
        "help    22.4    19 to 25     5           0.31 s           7.1 s",
        "    against eager imports; bound by the interpreter's own start: 0.0112 s, of",
        "    which ours reaches 4 %",
        "stack    1.4  1.1 to 2.3     2  12,346 tokens/s  8,817 tokens/s",
        "    short of its goal; against transformers generate; bound by memory bandwidth",
        "    (ceiling not measured)",
    ]
    assert max(map(len, lines)) < 80


def test_the_plot_shows_each_bench_in_its_colour() -> None:
    def colours(results: list[Result]) -> set[tuple[int, ...]]:
        data = plot(results)
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        pixels = matplotlib.image.imread(io.BytesIO(data))
        assert min(pixels.shape[:2]) > 200
        found = np.unique((255 * pixels[..., :3]).round().astype(int).reshape(-1, 3), axis=0)
        return set(map(tuple, found.tolist()))

    reached, short = (0x1A, 0x6B, 0x3C), (0xB3, 0x59, 0x00)
    assert {reached, short} <= colours([FAST, SLOW])
    assert short not in colours([FAST])
    assert reached not in colours([SLOW])
