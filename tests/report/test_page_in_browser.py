"""The page as a reader's browser shows it: on a laptop, on a phone, in the dark, and on paper."""

import base64
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser import open_page, requests, resize, theme
from tests.report.rich import hostile, rich
from xlnu.report.document import Report, Tiny, TinyNumbers, TinyPaths
from xlnu.report.page import page

LAPTOP, PHONE = 1280, 390
TINY = Tiny(TinyPaths("llm", "mt", "qe"), TinyNumbers(0.9, 1.0, {"swh_Latn": 57.0}, {"arb_Arab": 40.0}, 151.0))
REPORTS = {
    "few": dataclasses.replace(rich(8, seeds=3), tiny=TINY),
    "many": rich(200),
    "hostile": hostile(dataclasses.replace(rich(8), tiny=TINY)),
    "bare": Report("serve", {}, {"xlnu": "0.1.0"}),
}


@pytest.fixture(scope="module", params=list(REPORTS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, report in REPORTS.items():
        (folder / f"{name}.html").write_bytes(page(report))
    return {name: folder / f"{name}.html" for name in REPORTS}


@pytest.fixture(params=[LAPTOP, PHONE])
def shown(browser: Any, name: str, pages: dict[str, Path], request: pytest.FixtureRequest) -> Any:
    """The page of a report, opened at a width."""
    resize(browser, request.param)
    theme(browser, "light")
    open_page(browser, pages[name])
    return browser


def unfold(driver: Any) -> None:
    driver.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")


def test_nothing_is_wider_than_the_screen(shown: Any) -> None:
    for _ in range(2):
        width, room = shown.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert width <= room
        unfold(shown)


def test_the_page_asks_for_nothing_and_complains_of_nothing(shown: Any) -> None:
    unfold(shown)
    assert [entry for entry in shown.get_log("browser") if entry["level"] == "SEVERE"] == []
    asked = [address for address in requests(shown) if not address.startswith("data:")]
    assert asked == [shown.current_url]


OUTSIDE = """
const found = [];
for (const svg of document.querySelectorAll('figure svg.area, td.drawn > svg, svg.bar')) {
  const box = (svg.closest('figure') || svg.closest('td')).getBoundingClientRect();
  for (const one of svg.querySelectorAll('text, use, line, .curve, .band')) {
    if (one.matches('.drawn .zero')) continue;  // it runs on from row to row
    const at = one.getBoundingClientRect();
    if (at.left < box.left - 1 || at.right > box.right + 1 || at.top < box.top - 1 || at.bottom > box.bottom + 1)
      found.push([one.tagName, one.textContent, svg.getAttribute('aria-label')]);
  }
}
return found;
"""


def test_nothing_is_drawn_out_of_its_box(shown: Any) -> None:
    unfold(shown)
    assert shown.execute_script(OUTSIDE) == []


OVERLAPS = """
const found = [];
for (const svg of document.querySelectorAll('svg.area, td.drawn > svg')) {
  const boxes = [...svg.querySelectorAll('text')].filter(one => one.getBoundingClientRect().width)
    .map(one => [one.textContent, one.getBoundingClientRect()]);
  boxes.sort((a, b) => a[1].top - b[1].top);
  for (let i = 0; i < boxes.length; i++)
    for (let j = i + 1; j < boxes.length && boxes[j][1].top < boxes[i][1].bottom - 4; j++) {
      const [a, b] = [boxes[i][1], boxes[j][1]];
      if (a.left < b.right - 1 && b.left < a.right - 1) found.push([boxes[i][0], boxes[j][0]]);
    }
}
return found;
"""


def test_no_text_of_a_plot_lies_on_another(shown: Any) -> None:
    unfold(shown)
    assert shown.execute_script(OVERLAPS) == []


SMALL = """
return [...document.querySelectorAll('svg text, .axis, .legend li, small, .small, .badge')]
  .filter(one => one.getBoundingClientRect().width)
  .map(one => [one.textContent, one.getBoundingClientRect().height, parseFloat(getComputedStyle(one).fontSize)])
  .filter(([, height, size]) => height < 10 || size < 10);
"""


def test_text_can_be_read_on_every_screen(shown: Any) -> None:
    unfold(shown)
    assert shown.execute_script(SMALL) == []


NAMELESS = """
return [...document.querySelectorAll('svg')]
  .filter(one => !one.closest('[aria-hidden]') && !one.parentElement.closest('svg'))
  .filter(one => one.getAttribute('role') != 'img' || !(one.getAttribute('aria-label') || '').trim())
  .map(one => one.outerHTML.slice(0, 200));
"""
UNLABELLED = """
return [...document.querySelectorAll('figure.plot')].filter(one => {
  const labels = [...one.querySelectorAll('.axis')].filter(label => label.textContent.trim()
    && label.getBoundingClientRect().height >= 10);
  const ticks = [...one.querySelectorAll('.tick')].filter(tick => tick.getBoundingClientRect().width);
  return labels.length < (one.matches('.lines') ? 2 : 1) || ticks.length < (one.matches('.lines') ? 4 : 2);
}).map(one => one.outerHTML.slice(0, 300));
"""


def test_every_plot_has_a_name_and_axes_with_labels_and_ticks(shown: Any, name: str) -> None:
    unfold(shown)
    assert shown.execute_script(NAMELESS) == []
    assert shown.execute_script(UNLABELLED) == []
    drawn = shown.execute_script("return document.querySelectorAll('figure.plot').length")
    assert drawn == 0 if name == "bare" else drawn >= 8


def test_what_is_folded_opens_at_a_click(shown: Any) -> None:
    from selenium.webdriver.common.by import By

    seen = 0
    for summary in shown.find_elements(By.CSS_SELECTOR, "summary")[:12]:
        inside = summary.find_element(By.XPATH, "following-sibling::*[1]")
        assert not inside.is_displayed()
        shown.execute_script("arguments[0].scrollIntoView({block: 'center'})", summary)
        summary.click()
        assert inside.is_displayed()
        seen += 1
    assert seen


def test_contents_lead_to_their_parts(browser: Any, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.by import By

    resize(browser, PHONE)
    open_page(browser, pages["few"])
    browser.find_element(By.LINK_TEXT, "Samples").click()
    assert abs(browser.execute_script("return document.getElementById('samples').getBoundingClientRect().top")) < 2


@pytest.mark.parametrize(("width", "columns"), [(LAPTOP, 3), (PHONE, 1)])
def test_plots_lie_side_by_side_where_there_is_room(
    browser: Any,
    pages: dict[str, Path],
    width: int,
    columns: int,
) -> None:
    resize(browser, width)
    open_page(browser, pages["few"])
    places = "[...document.querySelectorAll('figure.plot.lines')].map(one => one.getBoundingClientRect().left)"
    assert browser.execute_script(f"return new Set({places}).size") == columns


CONTRASTS = """
const of = colour => {
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(c => c / 255)
    .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const ratio = (a, b) => (Math.max(of(a), of(b)) + .05) / (Math.min(of(a), of(b)) + .05);
const paper = getComputedStyle(document.body).backgroundColor;
const made = name => {
  const one = document.createElement('i');
  one.className = name;
  document.body.append(one);
  return getComputedStyle(one).color;
};
return Object.fromEntries(arguments[0].map(name => [name, [made(name), ratio(made(name), paper)]]));
"""


@pytest.mark.parametrize("way", ["light", "dark"])
def test_colours_stand_out_and_differ_in_light_and_dark(
    browser: Any,
    pages: dict[str, Path],
    way: str,
) -> None:
    resize(browser, LAPTOP)
    theme(browser, way)
    open_page(browser, pages["few"])
    marks = [f"c{number}" for number in range(8)]
    found = browser.execute_script(
        CONTRASTS, [*marks, "guess", "gain", "loss", "even", "soft", "yes", "no", "unsure"]
    )
    theme(browser, "light")
    colours = {name: colour for name, (colour, _) in found.items()}
    assert {name: ratio for name, (_, ratio) in found.items() if ratio < 4.5} == {}
    # the first four, which most plots have at most, also for who sees no red or no green
    numbers = {name: tuple(map(float, re.findall(r"[\d.]+", colours[name])[:3])) for name in marks[:4]}
    for sight in (RED_BLIND, GREEN_BLIND):
        seen = {
            name: tuple(sum(a * b for a, b in zip(row, rgb, strict=True)) for row in sight)
            for name, rgb in numbers.items()
        }
        for one in seen:
            for other in seen:
                away = sum((a - b) ** 2 for a, b in zip(seen[one], seen[other], strict=True)) ** 0.5
                assert one == other or away > 30, f"{one} and {other}: {seen[one]}, {seen[other]}"


# how protanopes and deuteranopes see (Machado, Oliveira and Fernandes 2009)
RED_BLIND = ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052))
GREEN_BLIND = ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969))


def test_dark_is_dark(browser: Any, pages: dict[str, Path]) -> None:
    resize(browser, LAPTOP)
    open_page(browser, pages["few"])
    ink = "const of = one => getComputedStyle(one); return [of(document.body).backgroundColor, "
    ink += "of(document.querySelector('svg.area text')).fill]"
    light = browser.execute_script(ink)
    theme(browser, "dark")
    dark = browser.execute_script(ink)
    theme(browser, "light")
    assert light == ["rgb(255, 255, 255)", "rgb(27, 31, 36)"]
    assert dark == ["rgb(13, 17, 23)", "rgb(230, 237, 243)"]


def test_it_prints(browser: Any, pages: dict[str, Path], name: str) -> None:
    resize(browser, LAPTOP)
    open_page(browser, pages[name])
    printed = base64.b64decode(browser.print_page())
    assert printed.startswith(b"%PDF-")
    sheets = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert sheets == 1 if name == "bare" else 4 < sheets < 60
    assert len(re.findall(rb"/Type\s*/Font\b", printed)) >= 1
    assert len(printed) > (5_000 if name == "bare" else 100_000)


def test_paper_shows_what_was_folded_only_to_spare_the_eye(browser: Any, pages: dict[str, Path]) -> None:
    resize(browser, LAPTOP)
    open_page(browser, pages["few"])
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    heights = "return ['details.print', 'details:not(.print)', 'nav'].map(one => document.querySelector(one)"
    claims, table, contents = browser.execute_script(f"{heights}.getBoundingClientRect().height)")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert claims > 300
    assert (table, contents) == (0, 0)


def test_a_page_of_200_languages_opens_at_once(browser: Any, pages: dict[str, Path]) -> None:
    resize(browser, LAPTOP)
    open_page(browser, pages["many"])
    took = browser.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert took < 5_000
    assert browser.execute_script("return document.querySelectorAll('.row').length") > 1000


def test_text_from_right_to_left_starts_at_the_right(browser: Any, pages: dict[str, Path]) -> None:
    resize(browser, LAPTOP)
    open_page(browser, pages["few"])
    ways = (
        "return [...document.querySelectorAll('.card > p')].slice(0, 6).map(one => getComputedStyle(one).direction)"
    )
    assert browser.execute_script(ways) == ["rtl", "rtl", "rtl", "rtl", "ltr", "rtl"]
