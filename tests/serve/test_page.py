"""The page in a real browser, as someone uses it who has read nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import requests, resize, theme
from tests.serve.serving import LABELS, SENTENCES, Server

WAIT = 30


class Page:
    def __init__(self, driver: Any, address: str) -> None:
        self.driver = driver
        for kind in ("browser", "performance"):
            driver.get_log(kind)
        driver.get(address)
        self.until(lambda: len(self.all("#tasks button")) > 0)

    def until(self, true: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, WAIT).until(lambda _: true())

    def all(self, where: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", where)
        return found

    def one(self, where: str) -> Any:
        return self.all(where)[0]

    def write(self, name: str, text: str) -> None:
        """Into the field that a label names, as a reader of the screen finds it."""
        label = next(one for one in self.all("label") if one.text == name)
        field = self.one(f"#{label.get_attribute('for')}")
        field.clear()
        field.send_keys(text)

    def choose(self, model: str) -> None:
        option = next(one for one in self.all("#model option") if one.get_attribute("value") == model)
        option.click()

    def ask(self) -> str:
        self.driver.execute_script("document.getElementById('answer').replaceChildren()")
        self.one("#go").click()
        return str(self.until(lambda: self.one("#answer").text))

    def problems(self) -> list[str]:
        return [one["message"] for one in self.driver.get_log("browser") if one["level"] == "SEVERE"]


@pytest.fixture
def page(browser: Any, served: Server) -> Page:
    resize(browser, 1280)
    return Page(browser, served.address)


def test_a_text_is_labelled(page: Page, served: Server) -> None:
    page.write("Text", SENTENCES[0])
    page.write("Language", "English")
    said = page.ask()
    right = served.data("classify", input=SENTENCES[0], language="en")[0]
    rows = [row.text for row in page.all("#answer tbody tr")]
    assert len(rows) == len(LABELS)
    assert right["label"] in rows[0]
    assert f"{100 * right['probability']:.1f} %" in rows[0]
    assert "Read as English" in said
    widths = [one.size["width"] for one in page.all("#answer .bar span")]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > widths[-1]
    assert page.problems() == []


def test_an_ambiguous_language_is_chosen_by_a_click(page: Page) -> None:
    page.write("Text", SENTENCES[0])
    page.write("Language", "zh")
    assert "ambiguous" in page.ask()
    assert [one.text for one in page.all("#answer button")] == ["Simplified Chinese", "Traditional Chinese"]
    page.one("#answer button").click()
    page.until(lambda: "does not know this language" in page.one("#answer").text)
    assert page.one("#language").get_attribute("value") == "zho_Hans"


def test_the_nearest_sentences_are_found(page: Page) -> None:
    next(one for one in page.all("#tasks button") if one.text == "Find the nearest").click()
    page.write("Text", SENTENCES[0])
    page.write("Language", "en")
    for row, text in zip(page.all("#sentences .line"), (SENTENCES[1], SENTENCES[0]), strict=False):
        row.find_elements("css selector", "input")[0].send_keys(text)
    page.ask()
    rows = page.all("#answer tbody tr")
    assert len(rows) == 2
    assert SENTENCES[0] in rows[0].text
    assert "1.000" in rows[0].text
    page.one("#more").click()
    assert len(page.all("#sentences .line")) == 4
    page.all("#sentences .line button")[3].click()
    assert len(page.all("#sentences .line")) == 3


def test_other_models_ask_for_what_they_need(page: Page) -> None:
    page.write("Language", "en")
    page.choose("nli")
    page.write("Text", SENTENCES[0])
    page.write("Second text", SENTENCES[1])
    assert "maybe" in page.ask()
    page.choose("pick")
    page.write("Passage", SENTENCES[0])
    page.write("Question", "who?")
    page.write("Answers to choose from, one a line", "the boy\na baker")
    assert "a baker" in page.ask()
    page.choose("words")
    page.write("Text", "the boy")
    assert "boy — " in page.ask()
    page.choose("sts")
    page.write("Text", "the boy")
    page.write("Second text", "the man")
    assert "Score: " in page.ask()
    assert page.problems() == []


def test_what_curl_would_ask_is_shown(page: Page) -> None:
    page.write("Text", "it's <b>here</b>")
    page.write("Language", "en")
    page.ask()
    page.one("#shown summary").click()
    line = page.one("#curl").text
    assert line.startswith("curl http://127.0.0.1:")
    assert "it'\\''s <b>here</b>" in line


def test_it_asks_nobody_else(page: Page, served: Server) -> None:
    page.until(lambda: "5 models" in page.one("#about").text)
    asked = [one for one in requests(page.driver) if not one.startswith("data:")]
    assert asked
    assert all(one.startswith(served.address) for one in asked)
    page.driver.get(f"{served.address}/docs")
    page.until(lambda: page.all(".opblock"))
    assert all(one.startswith((served.address, "data:")) for one in requests(page.driver))
    assert page.problems() == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("shade", ["light", "dark"])
def test_it_fits_and_can_be_read(width: int, shade: str, page: Page) -> None:
    resize(page.driver, width)
    theme(page.driver, shade)
    page.write("Text", "a" * 300)
    page.write("Language", "en")
    page.ask()
    over = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.driver.execute_script(over) == 0
    shown = [one for one in page.all("input, textarea, select") if one.is_displayed()]
    assert len(shown) >= 3
    for one in shown:
        named = page.all(f"label[for='{one.get_attribute('id')}']")
        assert named or one.get_attribute("aria-label"), one.get_attribute("outerHTML")
        assert one.size["height"] >= 40, "a finger finds it"
    for where in ("body", "#hint", "button.go", "#answer th"):
        assert contrast(page, where) >= 4.5, where
    theme(page.driver, "light")


def contrast(page: Page, where: str) -> float:
    """As WCAG has it, of a text against what lies behind it."""
    script = """
    const one = document.querySelector(arguments[0]), ink = getComputedStyle(one).color;
    let at = one, paper = "";
    while (at && ["", "rgba(0, 0, 0, 0)"].includes(paper)) {
      paper = getComputedStyle(at).backgroundColor;
      at = at.parentElement;
    }
    return [ink, paper].map(one => one.match(/[\\d.]+/g).slice(0, 3).map(Number));
    """
    ink, paper = (luminance(rgb) for rgb in page.driver.execute_script(script, where))
    return (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)


def luminance(rgb: list[float]) -> float:
    shares = (one / 255 for one in rgb)
    parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
