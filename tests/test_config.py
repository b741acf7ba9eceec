from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from xlnu import config
from xlnu.config import REQUIRED, describe, load, section, setting, to_yaml
from xlnu.errors import UserError


def _even(number: int) -> None:
    if number % 2:
        raise ValueError(f"{number} is odd")


def _single_words(texts: list[str]) -> None:
    for text in texts:
        if " " in text:
            raise ValueError(f"{text!r} is two words")


@dataclass
class Filter:
    tau: float = setting(0.8, "translations scored below this are rejected", at_least=0, at_most=1)
    p: float = setting(0.15, "how often a word is switched", at_least=0, at_most=1)
    gate: Literal["qe", "round_trip"] = setting("qe", "which gate decides")


@dataclass
class Job:
    filter: Filter = section(Filter)
    languages: list[str] = setting([], "to translate to", check=_single_words)
    fallbacks: dict[str, str] = setting({}, "a language to a better known one")
    model: str = setting(REQUIRED, "the LLM")
    batch: int = setting(32, "rows at once", above=0, check=_even)
    limit: int | None = setting(None, "rows at most")
    weights: dict[str, float] = setting({}, "a family to its share", at_least=0)
    counts: list[int] = setting([], "how many")
    rate: float = setting(1e-4, "how fast", at_least=0)
    dry: bool = setting(False, "do nothing")


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_defaults_file_and_arguments_in_that_order(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "model: llama\nbatch: 8\nfilter: {tau: 0.7, p: 0.3}\n")
    top = write(tmp_path, "top.yaml", "extends: base.yaml\nfilter:\n  tau: 0.9\n")
    got = load(Job, top, ["batch=16"])
    assert (got.model, got.batch, got.filter) == ("llama", 16, Filter(tau=0.9, p=0.3))


def test_several_bases_later_ones_win(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "model: a\nbatch: 2")
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "b.yaml", "model: b")
    assert load(Job, write(tmp_path, "c.yaml", "extends: [a.yaml, sub/b.yaml]")) == Job(model="b", batch=2)


def test_a_list_replaces_a_list(tmp_path: Path) -> None:
    file = write(tmp_path, "a.yaml", "model: a\nlanguages: [swh_Latn, ben_Beng]")
    assert load(Job, file, ["languages=[kat_Geor]"]).languages == ["kat_Geor"]
    assert load(Job, file, ["languages=[]"]).languages == []


def test_a_map_replaces_a_map(tmp_path: Path) -> None:
    file = write(tmp_path, "a.yaml", "model: a\nfallbacks: {mad: jav_Latn, bbc: ind_Latn}")
    assert load(Job, file, ["fallbacks={nij: bjn_Latn}"]).fallbacks == {"nij": "bjn_Latn"}


def test_text_is_what_was_written() -> None:
    """YAML's own guesses would make of these: false, 750, 100000.0, 10, a map, 2020-01-01."""
    got = load(
        Job, None, ["languages=[no,12:30,1e5,0012]", "model=a: b", "fallbacks={no: nob_Latn, on: 2020-01-01}"]
    )
    assert got.languages == ["no", "12:30", "1e5", "0012"]
    assert got.model == "a: b"
    assert got.fallbacks == {"no": "nob_Latn", "on": "2020-01-01"}
    assert load(Job, None, ["model=null"]).model == "null"


def test_numbers_as_people_write_them() -> None:
    got = load(Job, None, ["model=m", "batch=1e3", "filter.tau=1e-1", "limit=40", "dry=yes"])
    assert (got.batch, got.filter.tau, got.limit, got.dry) == (1000, 0.1, 40, True)
    assert load(Job, None, ["model=m", "limit=null"]).limit is None
    assert load(Job, None, ["model=m", "counts=[1e3,1e+2,3]", "weights={a: 1e3}"]).counts == [1000, 100, 3]


def test_a_section_whose_keys_are_commented_out(tmp_path: Path) -> None:
    assert load(Job, write(tmp_path, "a.yaml", "model: m\nfilter:\n  # tau: 0.9\n")).filter == Filter()
    assert load(Job, write(tmp_path, "b.yaml", "model: m\nfilter: null\n")).filter == Filter()


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLNU_TEST_MODEL", "from-env")
    assert load(Job, None, ["model=${oc.env:XLNU_TEST_MODEL}"]).model == "from-env"
    monkeypatch.setenv("XLNU_TEST_MODEL", "7")
    with pytest.raises(UserError, match=r"^batch: got 7 \(command line\); 7 is odd$"):
        load(Job, None, ["model=m", "batch=${oc.env:XLNU_TEST_MODEL}"])
    monkeypatch.setenv("XLNU_TEST_MODEL", "two words")
    with pytest.raises(UserError, match="'two words' is two words"):
        load(Job, None, ["model=m", "languages=['${oc.env:XLNU_TEST_MODEL}']"])


def test_the_resolved_config_reads_back_the_same(tmp_path: Path) -> None:
    once = load(Job, None, ["model=no", "languages=[no,0012,'null']", "filter.p=0.05", "fallbacks={mad: jav_Latn}"])
    once.fallbacks["x"] = "say ${name}, \\ and {x}"
    once.model = "${filter.tau}"
    assert load(Job, write(tmp_path, "saved.yaml", to_yaml(once))) == once


def test_one_jobs_lists_are_not_anothers() -> None:
    Job().languages.append("swh_Latn")
    assert Job().languages == []


def test_help_names_every_key_with_type_default_and_meaning() -> None:
    text = describe(Job)
    assert "  filter.tau = 0.8\n      translations scored below this are rejected. A number from 0 to 1." in text
    assert "  model (must be given)\n      the LLM. Text." in text
    assert "  limit = null\n      rows at most. A whole number, or null." in text
    assert [key.name for key in config.keys(Job)] == [
        "filter.tau",
        "filter.p",
        "filter.gate",
        "languages",
        "fallbacks",
        "model",
        "batch",
        "limit",
        "weights",
        "counts",
        "rate",
        "dry",
    ]


A_MAP = "allowed: a map to numbers, as {one: two}, at least 0"
WRONG = [
    ("filter.tau=1.3", "filter.tau: got 1.3 (command line); allowed: a number from 0 to 1"),
    ("filter.p=-0.1", "filter.p: got -0.1 (command line); allowed: a number from 0 to 1"),
    ("filter.tau=nan", "filter.tau: got nan (command line); allowed: a number from 0 to 1"),
    ("rate=nan", "rate: got nan (command line); allowed: a number, at least 0"),
    ("filter.tau=high", "filter.tau: got high (command line); allowed: a number from 0 to 1"),
    ("filter.tau=", "filter.tau: got '' (command line); allowed: a number from 0 to 1"),
    ("rate=inf", "rate: got inf (command line); allowed: a number, at least 0"),
    (
        "weights={a: -1}",
        "weights: got {'a': -1.0} (command line); allowed: a map to numbers, as {one: two}, at least 0",
    ),
    ("weights=[1]", "weights: got [1] (command line); allowed: a map to numbers, as {one: two}, at least 0"),
    ("languages=['???']", "languages: got [???] (command line); a ??? stands for a value that must be given"),
    ("languages={}", "languages: got {} (command line); allowed: a list of texts, as [one,two]"),
    ("dry=2", "dry: got 2 (command line); allowed: true or false"),
    ("batch=5.0", "batch: got 5.0 (command line); allowed: a whole number, above 0"),
    ("model=a${b", "model: got a${b (command line); allowed: text; a ${ that is meant as text is written \\${"),
    ("filter.gate=comet", "filter.gate: got comet (command line); allowed: one of qe, round_trip"),
    ("tau=2", "filter.tau: got 2 (command line); allowed: a number from 0 to 1"),
    ("filter.tua=0.5", "filter.tua: no such key (command line); did you mean filter.tau?"),
    ("langauges=[sw]", "langauges: no such key (command line); did you mean languages?"),
    ("colour=red", "colour: no such key (command line); --help lists the keys"),
    ("filter=0.5", "filter: is a section (command line); set a key in it, as filter.tau=0.8"),
    ("languages=sw", "languages: got sw (command line); allowed: a list of texts, as [one,two]"),
    (
        "languages=[sw",
        "languages (command line), line 1, column 4: not YAML: expected ',' or ']', but got '<stream end>'",
    ),
    ("batch=1.5", "batch: got 1.5 (command line); allowed: a whole number, above 0"),
    ("batch=0", "batch: got 0 (command line); allowed: a whole number, above 0"),
    ("batch=3", "batch: got 3 (command line); 3 is odd"),
    ("batch=null", "batch: got null (command line); allowed: a whole number, above 0"),
    ("dry=perhaps", "dry: got perhaps (command line); allowed: true or false"),
    ("limit={a: 1}", "limit: got {'a': '1'} (command line); allowed: a whole number, or null"),
    ("verbose", "'verbose' is not key=value; --help lists the keys"),
    (
        "model=${oc.env:XLNU_NO_SUCH}",
        "model: \"Environment variable 'XLNU_NO_SUCH' not found\" (command line)",
    ),
]


@pytest.mark.parametrize(("argument", "message"), WRONG)
def test_wrong_arguments(argument: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(Job, None, [*(["model=m"] if "model" not in argument else []), argument])
    assert str(caught.value) == message


def test_a_required_key_that_is_not_given() -> None:
    with pytest.raises(UserError, match=r"^model: must be given, as model=VALUE; the LLM$"):
        load(Job)


WRONG_FILES = [
    ("batch: 2\nbatch: 4\n", "{file}, line 2, column 1: not YAML: the key 'batch' stands twice"),
    ("model: [a\n", "{file}, line 2, column 1: not YAML: expected ',' or ']', but got '<stream end>'"),
    ("[]\n", "{file}: a configuration is a map of keys to values, not list"),
    ("model: a\x07\n", "{file}: not YAML: unacceptable character #x0007: special characters are not allowed in "),
    ("- a\n- b\n", "{file}: a configuration is a map of keys to values, not list"),
    ("model: m\nfilter:\n  tau: 7\n", "filter.tau: got 7 ({file}); allowed: a number from 0 to 1"),
    ("model: m\nfilter:\n  tao: 7\n", "filter.tao: no such key ({file}); did you mean filter.tau?"),
    ("extends: a.yaml\n", "{file}: extends a.yaml, which extends it in turn"),
    ("extends: none.yaml\n", "{folder}/none.yaml: no such file (extended by {file})"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_FILES)
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path, "a.yaml", text)
    with pytest.raises(UserError) as caught:
        load(Job, file)
    assert str(caught.value).startswith(message.format(file=file, folder=tmp_path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_the_near_one(tmp_path: Path) -> None:
    near = write(tmp_path, "sdrrl.yaml", "model: m")
    with pytest.raises(UserError) as caught:
        load(Job, str(tmp_path / "sdrl.yaml"))
    assert str(caught.value) == f"{tmp_path}/sdrl.yaml: no such file; did you mean {Path(near).name}?"


def test_a_base_that_extends_its_heir(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: b.yaml")
    write(tmp_path, "b.yaml", "extends: a.yaml")
    with pytest.raises(UserError, match=r"b\.yaml: extends a\.yaml, which extends it in turn$"):
        load(Job, str(tmp_path / "a.yaml"))


@dataclass
class Two:
    here: Filter = section(Filter)
    there: Filter = section(Filter)
    size: int = setting(1, "how many")
    needed: str = setting(REQUIRED, "what cannot be guessed")


def test_on_the_command_line_the_last_part_of_a_name_is_enough_if_it_is_one_settings(tmp_path: Path) -> None:
    assert load(Job, None, ["tau=0.5", "model=a"]).filter.tau == 0.5
    assert load(Job, None, ["model=a", "filter.tau=0.5", "tau=0.6"]).filter.tau == 0.6, "the later one wins"
    with pytest.raises(UserError, match=r"^tau: no such key .*; did you mean here\.tau or there\.tau\?$"):
        load(Two, None, ["tau=0.5", "needed=a"])
    with pytest.raises(UserError, match=r"^tau: no such key \(.*c\.yaml\); did you mean filter\.tau\?$"):
        load(Job, write(tmp_path, "c.yaml", "model: a\ntau: 0.5\n"))


def test_whose_settings_they_are_is_told_by_what_must_be_given() -> None:
    assert config.lacks(Two, ["size=3", "here.tau=0.5"])
    assert not config.lacks(Two, ["needed=a"])
