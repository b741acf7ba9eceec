"""Telling languages apart: real ones where they are at hand, those of the tiny world anywhere."""

import os
import tarfile
from pathlib import Path

import pytest

from xlnu.errors import UserError
from xlnu.evaluate import flores
from xlnu.evaluate.identify import FastText, Identifier
from xlnu.languages import resolve
from xlnu.tiny.build import Built

REAL = os.environ.get("XLNU_REAL_DATA")
CODES = ["eng_Latn", *(f"{iso}_Latn" for iso in ("ces", "slk", "dan", "nob", "ind", "zsm", "swh", "fra"))]


def right(texts: dict[str, list[str]], tests: dict[str, list[str]]) -> dict[str, float]:
    found = Identifier(texts)
    return {name: sum(found.of(text) == name for text in some) / len(some) for name, some in tests.items()}


@pytest.mark.skipif(not REAL, reason="needs real data")
def test_languages_of_one_script_are_told_apart(tmp_path: Path) -> None:
    archive = Path(REAL or "", "flores200_devtest", "all_languages.tar.xz")
    with tarfile.open(archive) as tar:
        names = [name for name in tar.getnames() if any(Path(name).name.startswith(code) for code in CODES)]
        tar.extractall(tmp_path, members=[tar.getmember(name) for name in names], filter="data")
    files = {code: next(tmp_path.rglob(f"{code}*")) for code in CODES}
    lines = {code: path.read_text(encoding="utf-8").splitlines() for code, path in files.items()}
    shares = right(
        {code: some[:500] for code, some in lines.items()}, {code: some[500:] for code, some in lines.items()}
    )
    assert min(share for code, share in shares.items() if code not in ("ind_Latn", "zsm_Latn")) > 0.97, shares
    assert min(shares.values()) > 0.85, shares


def test_those_of_the_tiny_world_too(tiny: Built) -> None:
    codes = ["eng_Latn", "qaa_Latn", "qad_Latn", "qae_Latn", "qab_Cyrl", "qaf_Cyrl"]
    texts = {}
    for split in ("dev", "devtest"):
        texts[split] = {
            code: (tiny.data / "flores" / split / f"{code}.{split}").read_text().splitlines() for code in codes
        }
    shares = right(texts["dev"], texts["devtest"])
    assert min(shares.values()) > 0.9, shares


def test_what_has_no_letters_is_in_no_language() -> None:
    found = Identifier({"eng_Latn": ["a cat sat"], "rus_Cyrl": ["кот сидел"]})
    assert found.of("кот") == "rus_Cyrl"
    assert found.of("cat") == "eng_Latn"
    assert found.of("12, 13!") is None
    assert found.of("") is None
    assert found.of("猫") is None


def test_lines_that_do_not_belong_together_are_not_taken_for_pairs(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "eng_Latn.dev").write_text("one\ntwo\n")
    english, swahili, french = (resolve(code) for code in ("eng_Latn", "swh_Latn", "fra_Latn"))
    assert flores.pairs(tmp_path, "dev", english, french) == []
    (tmp_path / "dev" / "swh_Latn.dev").write_text("mo\u2028ja\nmbili\n")
    assert flores.pairs(tmp_path, "dev", english, swahili) == [("one", "mo\u2028ja"), ("two", "mbili")]
    (tmp_path / "dev" / "swh_Latn.dev").write_text("moja\n")
    with pytest.raises(Exception, match="eng_Latn has 2 lines and swh_Latn 1"):
        flores.pairs(tmp_path, "dev", english, swahili)


def test_a_fasttext_model_of_the_users_own_tells_languages(tmp_path: Path) -> None:
    """Trained here on a few words, with labels as GlotLID and as lid.176 have them, and one that nobody knows."""
    import fasttext

    texts = {"eng_Latn": "the old cat sat there", "sw": "paka mzee alikaa pale", "xxx_Qaaa": "blorf zzt wug"}
    lines = [f"__label__{label} {text}" for label, text in texts.items() for _ in range(200)]
    (tmp_path / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    trained = fasttext.train_supervised(str(tmp_path / "train.txt"), epoch=20, minn=2, maxn=4, verbose=0, thread=1)
    trained.save_model(str(tmp_path / "lid.bin"))
    found = FastText(str(tmp_path / "lid.bin"))
    assert found.names == {"eng_Latn", "swh_Latn"}
    assert found.of("the cat\nsat") == "eng_Latn"
    assert found.of("paka alikaa") == "swh_Latn"
    assert found.of("blorf wug") == "xxx_Qaaa", "a language all the same, and another than was asked for"
    assert found.of("1969 !") is None


def test_what_is_no_fasttext_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "lid.bin").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"lid\.bin: is no fastText model: .*wrong file format"):
        FastText(str(tmp_path / "lid.bin"))
