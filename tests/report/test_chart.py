"""Scales and what is drawn on them: places, ticks, and that nothing is lost or drawn where it is not."""

import dataclasses
import math
from pathlib import Path

import pytest

from tests.report.rich import rich
from xlnu.report import lines, metric, reading
from xlnu.report.before_after import changes
from xlnu.report.by_language import by_language
from xlnu.report.chart import Axis, axis, log_axis, tick_texts
from xlnu.report.document import Claim, Comparison, Plot, Report, Sample, Score, Series, StepLine
from xlnu.report.dots import SHEET, TOGETHER
from xlnu.report.groups import MOST, forests
from xlnu.report.pivot import letter, tables
from xlnu.report.readable import duration, short
from xlnu.report.systems import COLOURS, SHAPES, Systems, look

MINUS = "−"


def texts(found: Axis) -> list[str]:
    return [tick.text for tick in found.ticks()]


# ---------------------------------------------------------------------------------------------- scales


@pytest.mark.parametrize(
    ("values", "limits", "low", "high", "ticks"),
    [
        ([0.31, 0.9], (0, 1), 0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.81, 0.99], (0, 1), 0.8, 1.0, ["0.80", "0.85", "0.90", "0.95", "1.00"]),
        ([12, 47], (0, 100), 0.0, 50.0, ["0", "10", "20", "30", "40", "50"]),
        ([-0.21, 0.34], None, -0.4, 0.4, [f"{MINUS}0.4", f"{MINUS}0.2", "0.0", "0.2", "0.4"]),
        ([-5, -1], None, -5.0, 0.0, [f"{MINUS}5", f"{MINUS}4", f"{MINUS}3", f"{MINUS}2", f"{MINUS}1", "0"]),
        ([0, 123_456], None, 0.0, 125_000.0, ["0", "25,000", "50,000", "75,000", "100,000", "125,000"]),
        ([2e-5, 8e-5], None, 0.0, 8e-5, ["0", "2·10⁻⁵", "4·10⁻⁵", "6·10⁻⁵", "8·10⁻⁵"]),
        ([1.0], (0, 1), 0.5, 1.0, ["0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]),
        ([0.0], (0, 1), 0.0, 0.5, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
        ([], None, 0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    ],
)
def test_an_axis_goes_out_to_round_numbers(
    values: list[float], limits: tuple[float, float] | None, low: float, high: float, ticks: list[str]
) -> None:
    found = axis(values, limits)
    assert [found.low, found.high] == pytest.approx([low, high])
    assert texts(found) == ticks
    assert [tick.at for tick in found.ticks()] == sorted({tick.at for tick in found.ticks()})
    assert all(0 <= tick.at <= 100 for tick in found.ticks())


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 0.7, 1.0, 37.0, 1e5, 3e8])
@pytest.mark.parametrize("span", [(0.0, 1.0), (0.9, 1.1), (-3.0, 8.0), (1.0, 1.0), (5.1, 9.8)])
def test_every_axis_has_some_ticks_that_differ_and_holds_its_values(
    scale: float, span: tuple[float, float]
) -> None:
    for tight in (False, True):
        found = axis([value * scale for value in span], tight=tight)
        assert 2 <= len(texts(found)) <= 6
        assert len(set(texts(found))) == len(texts(found))
        assert all(-0.01 <= found.at(value * scale) <= 100.01 for value in span)


def test_a_place_is_percent_of_the_way() -> None:
    assert [Axis(2, 4, 1).at(value) for value in (2, 2.5, 4)] == [0, 25, 100]
    assert [Axis(1, 10_000).at(value) for value in (1, 10, 10_000)] == [0, 25, 100]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1, 3000], ["1", "10", "100", "1,000"]),
        ([5, 40_000], ["10", "100", "1,000", "10,000"]),
        ([1, 100], None),
        ([0, 1000], None),
        ([-1, 1000], None),
        ([], None),
    ],
)
def test_only_what_spans_much_and_is_above_0_is_drawn_by_its_logarithm(
    values: list[float], ticks: list[str] | None
) -> None:
    found = log_axis(values)
    assert (texts(found) if found else None) == ticks


def test_texts_of_ticks_have_equal_decimals() -> None:
    assert tick_texts([0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert tick_texts([-1_000, 0]) == [f"{MINUS}1,000", "0"]
    assert tick_texts([1e6, 1.5e6]) == ["10⁶", "1.5·10⁶"]


# ---------------------------------------------------------------------------------------------- metrics, systems


def test_what_the_report_knows_of_metrics_is_what_is_measured() -> None:
    from xlnu.evaluate import metrics

    assert set(metric.POINTS) == set(metrics._CORPUS)
    assert {*metric.SHARES, *metric.SMALLER_IS_BETTER} - {"accuracy_norm"} <= set(metrics._EACH)


def test_a_number_is_told_in_its_metrics_unit() -> None:
    share, points, other = metric.metric("exact_match"), metric.metric("chrf_to_source"), metric.metric("pearson")
    assert share.axis == "exact match (share, 0 to 1)"
    assert points.axis == "chrf to source (points, 0 to 100)"
    assert metric.metric("off_target").axis == "off target (share, 0 to 1); less is better"
    assert [m.number(0.5) for m in (share, points, other)] == ["0.500", "0.5", "0.5"]
    assert [m.difference(-0.5) for m in (share, points, other)] == [f"{MINUS}0.500", f"{MINUS}0.5", f"{MINUS}0.5"]
    assert share.difference(-0.0001) == "0.000"
    assert metric.metric("accuracy", [0.3, 87.0]).limits is None  # whoever gives percent


def test_no_two_systems_look_alike() -> None:
    looks = [look(number) for number in range(SHAPES * COLOURS)]
    assert len(set(looks)) == SHAPES * COLOURS
    assert all(len({found[part] for found in looks[:8]}) == 8 for part in (0, 1))


def test_a_system_is_named_as_shortly_as_it_can_be() -> None:
    report = rich()
    systems = Systems(report)
    assert list(dict.fromkeys(systems.of(score).name for score in report.scores)) == [
        "before", "sdrrl (hard)", "sdrrl (taid)", "sft", "stacked", "translate_test", "majority",
    ]  # fmt: skip
    assert systems.called("sft (hard)") == "sft"
    assert systems.called("nobody (hard)") == "nobody (hard)"
    majority = next(score for score in report.scores if score.mode == "majority")
    assert (systems.of(majority).shape, systems.of(majority).colour) == ("g0", "guess")


# ---------------------------------------------------------------------------------------------- by language


def test_every_score_is_a_mark_at_its_place_with_its_interval() -> None:
    report = rich()
    table = tables(report.scores, Systems(report))[3]
    ((plot,),) = by_language(table)
    assert plot.axis == "accuracy (share, 0 to 1)"
    assert [row.label for row in plot.rows] == [line.code for line in table.lines]
    assert sum(len(row.marks) for row in plot.rows) == table.points == 24
    low, high = (float(plot.ticks[at].text) for at in (0, -1))
    for row, line in zip(plot.rows, table.lines, strict=True):
        for mark, cell in zip(row.marks, line.cells, strict=True):
            assert cell is not None
            assert low + (high - low) * mark.x / 100 == pytest.approx(cell.value, abs=1e-3)
            ends = [end for end in (mark.low, mark.x, mark.high) if end is not None]
            assert len(ends) == 3
            assert ends == sorted(ends)
            assert abs(mark.y - row.y) < plot.row / 2
            assert table.metric.number(cell.value) in row.title


def test_many_languages_are_split_by_resource_on_one_axis() -> None:
    report = rich(200)
    columns = by_language(tables(report.scores, Systems(report))[0])
    assert [[(plot.head, len(plot.rows)) for plot in column] for column in columns] == [
        [
            ("High resource and source: 68 languages", 34),
            ("High resource and source, continued", 34),
        ],
        [("Mid resource: 66 languages", 33), ("Mid resource, continued", 33)],
        [("Low resource: 66 languages", 33), ("Low resource, continued", 33)],
    ]
    plots = [plot for column in columns for plot in column]
    assert len({tuple(plot.ticks) for plot in plots}) == 1
    assert all(plot.height < SHEET + 40 for plot in plots)
    shown = [row.label for column in columns for plot in column for row in plot.rows]
    assert len(shown) == len(set(shown)) == 200
    assert len(by_language(tables(rich(TOGETHER).scores, Systems(rich(TOGETHER)))[0])) == 1


def test_a_change_goes_from_before_to_after_and_less_of_an_error_is_better() -> None:
    report = rich()
    found = changes(report.scores, Systems(report))
    assert [[system.name for system in change.systems] for change in found] == [
        ["before", "sdrrl (hard)"] if n < 3 else ["before", "sdrrl (taid)"] for n in range(6)
    ]
    for change in (found[0], found[2]):
        ((plot,),) = change.columns
        right = sum(row.arrow is not None and row.arrow.end > row.arrow.start for row in plot.rows)
        better = [row.arrow.better for row in plot.rows if row.arrow]
        assert better == sorted(better, reverse=True)  # the greatest gain on top
        assert sum(better) == (right if change is found[0] else len(plot.rows) - right)
        assert f"better in {sum(better)} of 8 languages" in change.about
    assert changes([score for score in report.scores if score.mode != "before"], Systems(report)) == []


# ---------------------------------------------------------------------------------------------- comparisons


def test_a_comparison_says_who_is_better_only_where_the_interval_lies_beside_0() -> None:
    def compared(low: float, high: float) -> Comparison:
        return Comparison(
            "sib200", "topic", "accuracy", "all targets", "a", "b", (low + high) / 2, low, high, 90, 3
        )

    (plot,) = forests([compared(0.1, 0.2), compared(-0.3, -0.1), compared(-0.1, 0.2)], Systems(Report("x", {}, {})))
    assert [(test.better, test.colour) for test in plot.first] == [("a", "gain"), ("b", "loss"), ("", "even")]
    assert [test.low < plot.zero < test.high for test in plot.first] == [False, False, True]
    assert plot.first[0].words == "+0.150"
    assert plot.first[1].spread == f"{MINUS}0.300 to {MINUS}0.100"


def test_comparisons_over_all_targets_stand_first_and_too_many_are_left_out() -> None:
    report = rich()
    first, second = forests(report.comparisons, Systems(report))
    assert {test.group for test in first.first} == {"all targets"}
    assert (len(first.first), len(first.folded), first.left_out) == (6, MOST - 6, 6 * 14 - MOST)
    assert (len(second.first), len(second.folded), second.left_out) == (3, MOST - 3, 3 * 14 - MOST)


# ---------------------------------------------------------------------------------------------- curves


def chart(points: list[list[float | None]], name: str = "loss") -> lines.Chart:
    return lines.sections([Plot("Training", "Loss", "step", "nats", [Series(name, points)])])[0].charts[0]


def test_a_curve_is_broken_where_there_is_nothing() -> None:
    found = chart(
        [[0, 0, None, None], [1, 1, None, None], [2, None, None, None], [3, 1, None, None], [4, 2, None, None]]
    )
    (curve,) = found.curves
    assert curve.paths == ["M0 100L25 50", "M75 50L100 0"]
    assert len(curve.dots) == 4


def test_a_band_goes_around_the_points_that_have_an_interval() -> None:
    (curve,) = chart([[0, 1, 0, 2], [1, 1, 0.5, 1.5], [2, 1, None, None]]).curves
    assert curve.bands == ["M0 0L50 25L50 75L0 100Z"]
    assert curve.dots[0].title == "loss: 1 at 0 (0 to 2)"
    (lonely,) = chart([[0, 1, 0, 2]]).curves
    assert (lonely.paths, lonely.bands) == ([], [])
    assert (lonely.dots[0].low, lonely.dots[0].high) == (100, 0)


def test_a_long_curve_is_thinned_and_keeps_its_spikes() -> None:
    points: list[list[float | None]] = [[float(n), math.sin(n), None, None] for n in range(20_000)]
    points[7_777] = [7777.0, 40.0, None, None]
    points[-1] = [19_999.0, 0.0, None, None]
    (curve,) = chart(points).curves
    (path,) = curve.paths
    places = [tuple(map(float, place.split())) for place in path[1:].split("L")]
    assert len(places) <= lines.MOST + 2
    assert min(y for _, y in places) == 0  # the top
    assert (places[0], places[-1]) == ((0, 80), (100, 80))  # on an axis from -10 to 40
    assert curve.dots == []


def test_x_of_many_decades_is_logarithmic_and_says_so() -> None:
    found = chart([[10.0**n, n, None, None] for n in range(5)])
    assert found.x == "step (log scale)"
    assert "on a logarithmic scale" in found.label
    assert found.curves[0].paths == ["M0 100L25 75L50 50L75 25L100 0"]


def test_small_sections_share_a_row_and_name_themselves() -> None:
    plots = [Plot(section, "t", "x", "y", [Series("s", [[0, 0, None, None]])]) for section in "ABBBC"]
    found = lines.sections(plots)
    assert [(section.name, [one.section for one in section.charts]) for section in found] == [
        ("B", ["B", "B", "B"]),
        ("", ["A", "C"]),
    ]


# ---------------------------------------------------------------------------------------------- lists


def test_steps_of_several_languages_are_one_line_of_their_sums() -> None:
    steps = [
        StepLine("translated_swh_latn", "a", 10, 8, {"empty": 2}, 2.0, True),
        StepLine("translated_arb_arab", "b", 10, 9, {"empty": 1}, 2.0, False),
        StepLine("train", "c", 5, 5, {}, 8.0, False),
    ]
    found = reading.kinds(Report("demo", {"run.price": 3600}, {}, steps=steps))
    assert [(one.name, one.steps, one.when) for one in found] == [
        ("translated", 2, "1 now, 1 before"),
        ("train", 1, "done now"),
    ]
    first = found[0]
    assert (first.rows_in, first.rows_out, first.rejected, first.seconds) == (20, 17, {"empty": 3}, 4.0)
    assert (first.share, first.cost, found[1].share) == (50, 4.0, 100)


def test_claims_are_folded_only_where_there_are_many() -> None:
    def of(level: str) -> Claim:
        return Claim(f"Topic, {level} languages: better.", "x", True, "")

    many = [of("all target"), *([of("low-resource")] * 12)]
    assert reading.claims(many) == (many[:1], many[1:])
    assert reading.claims(many[:12]) == (many[:12], [])
    assert reading.claims(many[1:]) == (many[1:], [])  # nothing to stand first


def test_questions_that_systems_disagree_on_are_read_first() -> None:
    def said(question: str, mode: str, correct: bool | None) -> Sample:
        one = Sample("mkqa", "qa", "swh_Latn", "before", None, question, "Nairobi", "x", correct)
        return dataclasses.replace(one, mode=mode)  # type: ignore[arg-type]

    asked = [
        ("all right", True, True),
        ("all wrong", False, False),
        ("split", False, True),
    ]
    found = reading.samples(
        [
            said(question, mode, verdicts[at])
            for at, mode in enumerate(("before", "sdrrl"))
            for question, *verdicts in asked
        ]
    )
    assert [one.question for one in found] == ["split", "all wrong", "all right"]
    assert [answer.system for answer in found[0].answers] == ["before", "sdrrl"]


def test_letters_go_on_after_z() -> None:
    assert [letter(number) for number in (0, 25, 26, 27, 52)] == ["a", "z", "aa", "ab", "ba"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (8.25, "8.25 s"), (150, "2 min 30 s"), (7260, "2 h 01 min")]
)
def test_durations_are_as_exact_as_it_matters(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_short_keeps_what_fits() -> None:
    assert [short("mad->jav_Latn", most) for most in (14, 6)] == ["mad->jav_Latn", "mad->…"]


def test_every_shape_and_colour_is_defined() -> None:
    parts = Path(lines.__file__).parent / "parts"
    marks, style = ((parts / name).read_text() for name in ("marks.html", "style.html"))
    for shape in (*(f"m{n}" for n in range(SHAPES)), "g0", "g1"):
        assert f'id="{shape}"' in marks
    for colour in (f"c{n}" for n in range(COLOURS)):
        assert f".{colour} {{ color: var(--{colour}); }}" in style
        assert style.count(f"--{colour}: #") == 3  # light, dark and print


def test_a_score_without_an_interval_has_a_mark_without_a_line() -> None:
    one = Score("x", "qa", "swh_Latn", "target", "low", "before", None, "f1", 0.5, 9, None, None, None)
    (table,) = tables([one], Systems(Report("x", {}, {}, scores=[one])))
    ((plot,),) = by_language(table)
    assert plot.rows[0].marks[0].low is None
    assert table.spread_means == ""
