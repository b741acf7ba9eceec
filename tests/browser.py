"""A real browser for pages, so that what is tested is what readers see."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window: one for all tests, for starting it takes a second."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("there is no Chromium with its chromedriver on this machine's PATH")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    service = pytest.importorskip("selenium.webdriver.chrome.service").Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # where the driver is given, selenium looks for none on the network
    driver = webdriver.Chrome(options=options, service=service(chromedriver))
    yield driver
    driver.quit()


def resize(driver: Any, width: int, height: int = 900) -> None:
    """The page's own width, as of a phone, which a window may not be small enough for."""
    told = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", told)


def theme(driver: Any, name: str) -> None:
    """light or dark."""
    told = {"features": [{"name": "prefers-color-scheme", "value": name}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", told)


def open_page(driver: Any, page: Path) -> None:
    for kind in ("browser", "performance"):
        driver.get_log(kind)  # what earlier pages said is not this page's
    driver.get(page.as_uri())


def requests(driver: Any) -> list[str]:
    """Every address that the page asked for since it was opened."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
