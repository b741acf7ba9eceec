"""report.json is an interface: what it holds and what it refuses; and the page that shows it."""

import dataclasses
import json
import math
import typing
from collections.abc import Iterator
from html.parser import HTMLParser
from types import UnionType
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator

from tests.report.rich import EVIL, hostile, rich
from xlnu.report.document import (
    FORMAT,
    Average,
    Claim,
    Mode,
    Report,
    Resource,
    Score,
    Seen,
    StepLine,
    Tiny,
    TinyNumbers,
    TinyPaths,
)
from xlnu.report.interface import encode, schema
from xlnu.report.page import page
from xlnu.report.pivot import Cell, Table, tables
from xlnu.report.readable import readable
from xlnu.report.systems import Systems
from xlnu.report.write import write

PACKAGE = "xlnu.report"
SCHEMA = schema(PACKAGE)


def a_report() -> Report:
    return Report(
        job="demo",
        settings={"languages": ["mad->jav_Latn"], "tau": 0.8, "run.dir": "", "limit": None},
        versions={"xlnu": "0.1.0", "torch": "2.13.0"},
        tiny=Tiny(
            TinyPaths(llm="world/llm", mt="world/mt", qe="world/qe"),
            TinyNumbers(
                qe_auc=0.93,
                llm_source_accuracy=1.0,
                bleu_to_source={"rus_Cyrl": 80.1, "kat_Geor": 57.0},
                bleu_from_source={"rus_Cyrl": 71.5},
                cpu_seconds=151.2,
            ),
        ),
        steps=[
            StepLine("english", "runs/english-0a1b", 1200, 1100, {"empty": 60, "too long": 40}, 8.25, True),
            StepLine("bitext", "runs/bitext-2c3d", 8800, 8800, {}, 31.5, False),
        ],
        scores=[
            Score(
                benchmark="tiny-qa", task="qa", language="kat_Geor", seen="target", resource="low",
                mode="sdrrl", objective="fkl", metric="exact_match", value=0.46, n=240,
                ci_low=0.4, ci_high=0.52, seed=0,
            ),
            Score(
                benchmark="tiny-qa", task="qa", language="kat_Geor", seen="target", resource="low",
                mode="before", objective=None, metric="exact_match", value=0.0, n=240,
                ci_low=None, ci_high=None, seed=None,
            ),
        ],
        claims=[
            Claim("Foreign questions are answered better", "SDRRL, table 1", True, "0.46 against 0"),
            Claim("It forgets no English", "SDRRL, section 4.2", None, "one seed only; грузинский: ნახე"),
        ],
    )  # fmt: skip


def written(report: Report) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    write(report, files.__setitem__)
    return files


def a_table(scores: list[Score]) -> Table:
    (table,) = tables(scores, Systems(Report("demo", {}, {}, scores=scores)))
    return table


def rebuilt(of: Any, value: Any) -> Any:
    """The dataclass tree that a reader would make of the JSON."""
    if typing.get_origin(of) is UnionType:
        of = typing.get_args(of)[0]
    if value is not None and dataclasses.is_dataclass(of):
        hints = typing.get_type_hints(of)
        return of(**{key: rebuilt(hints[key], one) for key, one in value.items() if key != "format"})  # type: ignore[operator]
    if typing.get_origin(of) is list:
        return [rebuilt(typing.get_args(of)[0], one) for one in value]
    return value


# ---------------------------------------------------------------------------------------------- report.json


def test_both_files_are_written_and_json_comes_last() -> None:
    assert list(written(a_report())) == ["report.html", "report.json"]


def test_what_is_written_reads_back_as_the_same_report() -> None:
    data = json.loads(written(a_report())["report.json"])
    assert data["format"] == FORMAT
    assert rebuilt(Report, data) == a_report()


def test_a_report_of_nothing_is_written_too_and_has_no_tiny() -> None:
    bare = Report(job="serve", settings={}, versions={})
    data = json.loads(written(bare)["report.json"])
    assert data == {
        "format": 1,
        "job": "serve",
        "settings": {},
        "versions": {},
        "steps": [],
        "scores": [],
        "claims": [],
        "averages": [],
        "comparisons": [],
        "plots": [],
        "samples": [],
        "findings": [],
        "machines": [],
    }


def test_equal_reports_are_equal_bytes_whatever_the_order_of_their_maps() -> None:
    report = a_report()
    other = dataclasses.replace(report, versions=dict(reversed(report.versions.items())))
    assert written(other) == written(report)


def test_text_is_for_people() -> None:
    data = written(a_report())["report.json"]
    assert "ნახე".encode() in data
    assert b'\n  "job": "demo",\n' in data
    assert data.endswith(b"}\n")


def set_in(document: dict[str, Any], path: str, value: object) -> None:
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    place: Any = document
    for part in way:
        place = place[part]
    place[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", 2, r"\$\.format: 1 was expected"),
        ("job", "", r"\$\.job: '' should be non-empty"),
        ("versions.torch", 2.13, r"\$\.versions\.torch: 2\.13 is not of type 'string'"),
        ("mood", "good", r"\$: Additional properties .*'mood' was unexpected"),
        ("tiny.numbers.qe_auc", 1.2, r"\$\.tiny\.numbers\.qe_auc: 1\.2 is greater than the maximum of 1"),
        ("tiny.numbers.bleu_to_source.kat_Geor", None, r"\.kat_Geor: None is not of type 'number'"),
        ("tiny.paths.llama", "x", r"\$\.tiny\.paths: .*'llama' was unexpected"),
        ("steps.0.rows_in", 1.5, r"\$\.steps\[0\]\.rows_in: 1\.5 is not of type 'integer'"),
        ("steps.0.rows_out", -1, r"\$\.steps\[0\]\.rows_out: -1 is less than the minimum of 0"),
        ("steps.0.rejected.empty", "60", r"\$\.steps\[0\]\.rejected\.empty: '60' is not of type 'integer'"),
        ("steps.1.seconds", math.inf, r"\$\.steps\[1\]\.seconds: inf is not of type 'number'"),
        ("steps.1.skipped", "no", r"\$\.steps\[1\]\.skipped: 'no' is not of type 'boolean'"),
        ("scores.1.seen", "both", r"\$\.scores\[1\]\.seen: 'both' is not one of \['source', 'target'\]"),
        ("scores.1.resource", "medium", r"\$\.scores\[1\]\.resource: 'medium' is not one of"),
        ("scores.1.mode", "zero-shot", r"\$\.scores\[1\]\.mode: 'zero-shot' is not one of .*'zero_shot'"),
        ("scores.1.value", math.nan, r"\$\.scores\[1\]\.value: nan is not of type 'number'"),
        ("scores.1.value", None, r"\$\.scores\[1\]\.value: None is not of type 'number'"),
        ("scores.1.ci_low", -math.inf, r"\$\.scores\[1\]\.ci_low: -inf is not of type 'number', 'null'"),
        ("scores.1.n", 0, r"\$\.scores\[1\]\.n: 0 is less than the minimum of 1"),
        ("scores.1.n", True, r"\$\.scores\[1\]\.n: True is not of type 'integer'"),
        ("claims.0.holds", "maybe", r"\$\.claims\[0\]\.holds: 'maybe' is not of type 'boolean', 'null'"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(path: str, value: object, message: str) -> None:
    document = a_report().document()
    encode(document, PACKAGE)
    set_in(document, path, value)
    with pytest.raises(ValueError, match=message):
        encode(document, PACKAGE)


@pytest.mark.parametrize("key", sorted(SCHEMA["required"]))
def test_a_missing_key_is_refused(key: str) -> None:
    document = a_report().document()
    del document[key]
    with pytest.raises(ValueError, match=f"'{key}' is a required property"):
        encode(document, PACKAGE)


def test_every_wrong_place_is_named_at_once() -> None:
    document = a_report().document()
    set_in(document, "scores.0.n", -1)
    set_in(document, "job", 7)
    with pytest.raises(ValueError, match=r"(?s)\$\.job: .*\n\$\.scores\[0\]\.n: "):
        encode(document, PACKAGE)


def test_nothing_is_written_of_a_wrong_report() -> None:
    files: dict[str, bytes] = {}
    wrong = dataclasses.replace(a_report(), steps=[StepLine("s", "a", 1, 1, {}, math.nan, False)])
    with pytest.raises(ValueError, match="nan is not of type 'number'"):
        write(wrong, files.__setitem__)
    assert files == {}


@pytest.mark.parametrize(
    ("rows_out", "rejected", "message"),
    [
        (6, {"empty": 3}, "step english: 10 rows in, but 6 out and 3 rejected: 1 lost"),
        (10, {"empty": 2, "late": 1}, "step english: 10 rows in, but 10 out and 3 rejected: 3 too many"),
    ],
)
def test_rows_are_conserved(rows_out: int, rejected: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StepLine("english", "english-0a1b", 10, rows_out, rejected, 1.0, False)


@pytest.mark.parametrize(("low", "high"), [(0.1, None), (None, 0.9), (0.9, 0.1)])
def test_half_an_interval_or_one_turned_round_is_refused(low: float | None, high: float | None) -> None:
    with pytest.raises(ValueError, match=r"score tiny-qa kat_Geor sdrrl exact_match: .* no conf"):
        dataclasses.replace(a_report().scores[0], ci_low=low, ci_high=high)


# ---------------------------------------------------------------------------------------------- the schema


def places(node: Any, name: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every named key of the schema with what stands there."""
    for key, below in node.get("properties", {}).items():
        yield f"{name}.{key}", below
        yield from places(below, f"{name}.{key}")
    if "items" in node:
        yield from places(node["items"], f"{name}[]")


def test_the_schema_is_one_and_documents_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    found = dict(places(SCHEMA))
    assert len(found) > 40
    assert [name for name, below in found.items() if not below.get("description", "").endswith(".")] == []


def agrees(of: Any, node: Any, name: str) -> list[str]:
    """Where a type of Python and its part of the schema differ."""
    optional = typing.get_origin(of) is UnionType
    if optional:
        of = typing.get_args(of)[0]
    words = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if dataclasses.is_dataclass(of):
        fields = typing.get_type_hints(of)
        below, required = dict(node["properties"]), set(node["required"])
        if of is Report:
            below.pop("format")
            required = required - {"format"} | {"tiny"}
        wrong = [] if list(fields) == list(below) else [f"{name}: {list(fields)} against {list(below)}"]
        if node["additionalProperties"] is not False or required != set(below):
            wrong.append(f"{name}: not exactly its keys")
        both = fields.keys() & below.keys()
        return wrong + [w for key in both for w in agrees(fields[key], below[key], f"{name}.{key}")]
    if typing.get_origin(of) is list:
        assert node["type"] == "array"
        return agrees(typing.get_args(of)[0], node["items"], f"{name}[]")
    if of is Any:
        return [] if node is True else [f"{name}: anything"]
    if typing.get_origin(of) is dict:
        return agrees(typing.get_args(of)[1], node["additionalProperties"], f"{name}{{}}")
    if typing.get_origin(of) is Literal:
        return [] if list(typing.get_args(of)) == node["enum"] else [name]
    return [] if node["type"] == ([words[of], "null"] if optional else words[of]) else [name]


def test_the_schema_and_the_dataclasses_are_the_same() -> None:
    assert SCHEMA["properties"]["format"]["const"] == FORMAT
    assert agrees(Report, SCHEMA, "$") == []


def test_the_modes_are_those_of_the_design_and_three_ablations_and_baselines() -> None:
    assert typing.get_args(Mode) == (
        "before", "sdrrl", "sft", "translate_sft", "no_switch", "no_parallel", "no_filter",
        "stacked", "zero_shot", "encoder", "translate_test", "translate_train", "ensemble", "router",
        "stage1_labels", "stage2_only", "multilingual", "classifier", "majority", "random",
    )  # fmt: skip
    assert typing.get_args(Seen) == ("source", "target")
    assert typing.get_args(Resource) == ("source", "high", "mid", "low")


# ---------------------------------------------------------------------------------------------- report.html


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(html: bytes) -> str:
    return " ".join(Elements(html.decode()).text.split())


def headings(report: Report) -> list[str | None]:
    return [a["id"] for tag, a in Elements(page(report).decode()).found if tag == "h2"]


def test_the_page_says_what_ran() -> None:
    text = text_of(page(a_report()))
    for part in (
        "2 steps: 1 done now, in 31.5 s; 1 done before, in 8.25 s.",
        "english 8.25 english: 8.25 s 1,200 1,100 empty: 60 too long: 40 done before",
        "bitext 31.5 bitext: 31.5 s 8,800 8,800 none done now",
        "english 1,200 1,100 empty: 60 too long: 40 8.25 done before runs/english-0a1b",
        "tiny-qa: exact match qa; 240 examples a language; seed 0; objective fkl. Lines, and small: the 95 % int",
        "kat_GeorGeorgian, low0.4600.400 to 0.5200.000",
        "? cannot tell It forgets no English one seed only; грузинский: ნახე · SDRRL, section 4.2",
        "2 claims: 1 held, 1 undecided. The numbers of this run decide.",
        "kat_Geor 57 –",
        "torch 2.13.0",
        "languages [mad->jav_Latn] tau 0.8 run.dir '' limit null",
    ):
        assert part in text
    assert "Cost" not in text


def test_several_seeds_are_one_cell_with_the_lowest_and_the_highest() -> None:
    one = a_report().scores[0]
    several = [dataclasses.replace(one, seed=seed, value=value) for seed, value in ((1, 0.6), (2, 0.2), (3, 0.7))]
    other = dataclasses.replace(one, language="eng_Latn", resource="source", objective="hard")
    table = a_table([*several, other])
    assert (table.title, table.about) == ("tiny-qa: exact match", "qa; 240 examples a language; seeds 0, 1, 2, 3")
    assert table.spread_means == "the lowest and the highest of the seeds, around their mean"
    assert [system.name for system in table.systems] == ["sdrrl (fkl)", "sdrrl (hard)"]
    assert [(line.code, line.name, line.resource, line.cells) for line in table.lines] == [
        ("kat_Geor", "Georgian", "low", [Cell(0.5, 0.2, 0.7), None]),
        ("eng_Latn", "English", "source", [None, Cell(0.46, 0.4, 0.52)]),
    ]


def test_languages_stand_best_first_and_of_an_error_the_smallest() -> None:
    one = a_report().scores[0]
    some = [
        dataclasses.replace(one, language=code, value=value)
        for code, value in (("fra_Latn", 0.2), ("deu_Latn", 0.5), ("swh_Latn", 0.3))
    ]
    assert [line.code for line in a_table(some).lines] == ["deu_Latn", "swh_Latn", "fra_Latn"]
    errors = [dataclasses.replace(score, metric="off_target") for score in some]
    assert [line.code for line in a_table(errors).lines] == ["fra_Latn", "swh_Latn", "deu_Latn"]


def test_a_note_is_a_letter_with_its_text_once_and_so_is_a_signature() -> None:
    note, signature = "only one class was ever answered", "nrefs:1|version:2.4.3"
    scores = [
        dataclasses.replace(a_report().scores[0], language=code, note=note, signature=signature)
        for code in ("fra_Latn", "deu_Latn")
    ]
    html = page(dataclasses.replace(a_report(), scores=scores)).decode()
    assert html.count("0.460<sup>a</sup>") == 2
    assert (html.count(note), html.count(signature)) == (1, 1)


def test_the_page_leaves_out_what_there_is_not() -> None:
    assert headings(Report("serve", {}, {})) == ["versions"]
    assert "<nav" not in page(Report("serve", {}, {})).decode()


def test_the_page_has_all_its_parts_in_order_and_leads_to_them() -> None:
    report = dataclasses.replace(rich(), tiny=a_report().tiny)
    parts = ["claims", "findings", "scores", "averages", "changes", "comparisons", "plots", "samples"]
    parts += ["steps", "machines", "tiny", "settings", "versions"]
    assert headings(report) == parts
    html = page(report).decode()
    assert [a["href"] for tag, a in Elements(html).found if tag == "a"] == [f"#{part}" for part in parts]
    assert [html.index(f'id="{part}"') for part in parts] == sorted(html.index(f'id="{part}"') for part in parts)


def test_a_price_an_hour_makes_costs() -> None:
    report = dataclasses.replace(a_report(), settings={"run.price": 120.0})
    text = text_of(page(report))
    assert "Cost, at 120 an hour: 1.05 now, 0.28 before." in text
    assert "english 8.25 english: 8.25 s 0.28 1,200" in text


def test_of_many_claims_those_of_one_level_are_folded_away() -> None:
    html = page(rich()).decode()
    folded = html[html.index('<details class="print">') : html.index("</details>")]
    assert folded.count("-resource languages") == 12
    assert "12 more, by level of resource (12 claims: 6 held, 3 not held, 3 undecided)" in folded
    assert html[: html.index('<details class="print">')].count("all target languages") == 4
    few = dataclasses.replace(rich(), claims=rich().claims[:12])
    assert '<details class="print">' not in page(few).decode()


def test_what_is_serious_comes_first_and_is_marked() -> None:
    text = text_of(page(rich()))
    assert "2 serious: a number cannot be believed as it stands. ! serious every answer is 'politics'" in text
    assert text.index("3 questions stand in the training data") < text.index("note 12 % of answers")


def test_a_missing_average_is_a_dash_and_the_best_is_bold() -> None:
    report = dataclasses.replace(
        a_report(),
        averages=[
            Average(
                "tiny-qa", "qa", "exact_match", "sdrrl", "fkl", None, "all targets", 7, 0.5, 240, 0.4, 0.6, [0]
            ),
            Average("tiny-qa", "qa", "exact_match", "before", None, None, "all targets", 7, 0.1, 240, 0, 0.2, [0]),
            Average("tiny-qa", "qa", "exact_match", "before", None, None, "family: Bantu", 3, 0, 240, 0, 0, [0]),
        ],
    )
    html = page(report).decode()
    assert '<td><span class="best">0.500</span><small>0.400 to 0.600</small></td>' in html
    assert "<td><span>0.100</span><small>0.000 to 0.200</small></td>" in html
    assert "<small>3 languages</small></th><td>–</td><td><span>0.000</span>" in html


def test_text_of_others_cannot_become_markup() -> None:
    html = page(hostile(dataclasses.replace(rich(), tiny=a_report().tiny))).decode()
    elements = Elements(html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert EVIL not in html
    assert elements.text.count("<img src=x onerror=alert(1)>") > 60
    assert {"script", "img"} & {tag for tag, _ in elements.found} == set()
    assert [name for _, attributes in elements.found for name in attributes if name.startswith("on")] == []


def test_the_page_stands_alone() -> None:
    html = page(rich()).decode()
    links = {
        (tag, name, value if tag == "link" or not value else value[0])
        for tag, attributes in Elements(html).found
        for name, value in attributes.items()
        if name in ("src", "srcset", "href", "xlink:href", "action", "data", "poster", "style")
        or name.startswith("on")
    }
    assert links == {("link", "href", "data:,"), ("a", "href", "#"), ("use", "href", "#")}
    for word in ("http:", "https:", "//", "url(", "@import"):
        assert word not in html


def test_a_page_of_200_languages_stays_small_and_leaves_the_rest_to_the_json() -> None:
    html = page(rich(200))
    assert len(html) < 2_000_000
    changed = 2 * 3  # to both objectives, by each of the metrics that have a before
    assert html.count(b"<h4>High resource and source: 68 languages</h4>") == 5 + changed
    many = rich(200)
    scores = [
        dataclasses.replace(score, benchmark=f"{score.benchmark}-{number}")
        for score in many.scores
        for number in range(6)
    ]
    html = page(dataclasses.replace(many, scores=scores))
    assert len(html) < 3_500_000
    assert b"too much for this page beside the rest" in html
    assert b"its numbers stand in report.json" in html
    assert b"21 more metrics: their numbers stand in report.json" in html


def test_the_page_is_for_every_reader() -> None:
    html = page(a_report()).decode()
    found = Elements(html).found
    assert ("html", {"lang": "en"}) in found
    assert ("meta", {"charset": "utf-8"}) in found
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in found
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    # a wide table scrolls in its own box, which the keyboard reaches
    boxes = [found[i - 1][1] for i, (tag, _) in enumerate(found) if tag == "table"]
    assert [(box.get("class"), box.get("tabindex")) for box in boxes] == [("scroll", "0")] * 4
    assert all(box.get("aria-labelledby") or box.get("aria-label") for box in boxes)
    assert all(a.get("scope") in ("col", "row") for tag, a in found if tag == "th")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (4.5678, "4.57"),
        (78.94, "78.9"),
        (100.4, "100"),
        (999.6, "1,000"),
        (12345.6, "12,346"),
    ],
)
def test_numbers_are_readable(value: float, text: str) -> None:
    assert readable(value) == text
