"""The start-up benches, run for true, in fresh processes."""

import pytest

from xlnu.bench.frame import measure
from xlnu.bench.startup import JOB, benches, python
from xlnu.errors import Halt

IMPORT, HELP = benches()


def test_importing_xlnu_costs_little_more_than_the_interpreter() -> None:
    result = measure(IMPORT, repeats=1, warmup=0)
    assert result.name == "import"
    # No goal is tested here, where other work disturbs: only that nothing heavy crept into `import xlnu`.
    assert 0.2 < result.ratio < 5
    assert 0.001 < result.ours.median < 5
    assert result.bound.startswith("the interpreter's own start: ")


def test_help_is_the_same_text_sooner_than_with_eager_imports() -> None:
    result = measure(HELP, repeats=1, warmup=0)  # refuses unequal texts
    assert result.ratio > 1
    text = python(str(JOB), "--help")[1]
    assert "demo.py" in text


def test_a_process_that_fails_is_no_measurement() -> None:
    with pytest.raises(Halt, match="exit code 1: ValueError: no disk"):
        python("-c", "raise ValueError('no disk')")


def test_what_a_process_prints_is_its_output() -> None:
    seconds, output = python("-c", "print('hello')")
    assert output == "hello\n"
    assert seconds > 0
