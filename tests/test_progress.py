import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from xlnu import progress
from xlnu.progress import Display

COUNT = """
from xlnu.progress import Display
display = Display()
with display.task("english") as task:
    task.begin(1000, done=250)
    for _ in range(75):
        task.advance(10)
    display.say("[not markup] said meanwhile")
display.say("english: done")
"""


def test_plain_lines_are_timed_and_few(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    display = Display()
    with display.task("english") as task:
        task.begin(1000, done=250)
        for _ in range(70):
            task.advance(10)
        monkeypatch.setattr(progress, "EVERY", 0)
        task.advance(10)
    out, err = capsys.readouterr()
    assert out == "", "stdout is for what was asked for"
    timed, rate = r"\[ +\d+\.\d s\] ", r"[\d,]+\.\d rows/s, 0 s left"
    lines = [rf"{timed}english: going on from 250 of 1,000 rows", rf"{timed}english: 960 of 1,000 rows, {rate}"]
    assert re.fullmatch("\n".join([*lines, ""]), err)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (90061, "25 h 01 min"), (float("inf"), "?")],
)
def test_durations(seconds: float, words: str) -> None:
    assert progress._duration(seconds) == words


def test_on_a_terminal_it_moves() -> None:
    """A real terminal: the other end of a pseudo-terminal."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", COUNT],
        stderr=theirs,
        stdout=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    seen: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the child closed its end
                return
            if not data:
                return
            seen.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    assert child.wait(60) == 0
    reader.join()
    text = b"".join(seen).decode()
    assert "━" in text
    assert re.search(r"english .*\d+%", text)
    assert "[not markup] said meanwhile" in text
    assert text.rstrip().endswith("english: done")
