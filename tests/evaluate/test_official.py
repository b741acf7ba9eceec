"""The official benchmarks: their real files, theirs on the hub, and what is said where there are none."""

import json
import os
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.evaluate.evaluated import belebele
from xlnu.errors import UserError
from xlnu.evaluate import flores
from xlnu.evaluate.benchmarks import official
from xlnu.evaluate.benchmarks.formats import FORMATS, read
from xlnu.evaluate.benchmarks.items import Item
from xlnu.evaluate.benchmarks.official import OFFICIAL, QUIRKS, Split, covered, find, folder, notes
from xlnu.languages import Language, all_languages, declare, resolve
from xlnu.transfer import parallel

needs_real = pytest.mark.skipif(
    "XLNU_REAL_DATA" not in os.environ, reason="XLNU_REAL_DATA names no folder of real data"
)
ENGLISH, SWAHILI = resolve("eng_Latn"), resolve("swh_Latn")


def real(name: str) -> Path:
    return Path(os.environ["XLNU_REAL_DATA"], name)


def unpacked(name: str, to: Path) -> Path:
    with tarfile.open(real(name)) as archive:
        archive.extractall(to, filter="data")
    return to


def keys(items: Sequence[Item]) -> list[tuple[str, Any]]:
    return [(item.key, item.label) for item in items]


def labels(items: Sequence[Item]) -> dict[Any, int]:
    return dict(Counter(item.label for item in items))


def items(name: str, place: Path, split: Split, language: Language) -> list[Item]:
    """All of them of use."""
    path = find(name, place, split, language)
    assert path is not None
    read_here = read(OFFICIAL[name].format, path, language)
    assert not [item for item in read_here if item.reject]
    return read_here


def laid(place: Path, *names: str) -> Path:
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("", encoding="utf-8")
    return place


# The real files


@needs_real
def test_sib200_in_all_languages(tmp_path: Path) -> None:
    place = unpacked("sib200/all_205_languages.tar.xz", tmp_path) / "sib200"
    splits: dict[Split, int] = {"train": 701, "validation": 99, "test": 204}
    english = {split: items("sib200", place, split, ENGLISH) for split in splits}
    assert {split: len(found) for split, found in english.items()} == splits
    assert sum((Counter(item.label for item in found) for found in english.values()), Counter()) == {
        "science/technology": 252, "travel": 198, "politics": 146, "sports": 122, "health": 110,
        "entertainment": 93, "geography": 83,
    }  # fmt: skip
    languages = covered("sib200", place, "test")
    assert len(languages) == 205
    for split, found in english.items():
        for language in languages:
            assert keys(items("sib200", place, split, language)) == keys(found)
    assert english["train"][11].segments[0].startswith('"She’s very cute and sings quite well, too," he said')


@needs_real
def test_nusax_in_all_languages() -> None:
    place, tags = real("nusax"), "ace_Latn ban_Latn bjn_Latn bug_Latn eng_Latn ind_Latn jav_Latn min_Latn sun_Latn"
    counts: dict[Split, tuple[int, ...]] = {
        "train": (192, 119, 189), "validation": (38, 24, 38), "test": (153, 96, 151),
    }  # fmt: skip
    for split, each in counts.items():
        english = items("nusax", place, split, ENGLISH)
        assert labels(english) == dict(zip(("negative", "neutral", "positive"), each, strict=True))
        languages = covered("nusax", place, split)
        assert [language.label for language in languages] == [
            *tags.split(), "bbc->ind_Latn", "mad->jav_Latn", "nij->bjn_Latn",
        ]  # fmt: skip
        for language in languages:
            assert keys(items("nusax", place, split, language)) == keys(english)
        paths = {find("nusax", place, split, language) for language in languages}
        assert len(paths) == 12


@needs_real
def test_xcopa_in_its_languages() -> None:
    place, codes = real("xcopa"), ["est_Latn", "hat_Latn", "ind_Latn", "ita_Latn", "quy_Latn", "swh_Latn"]
    codes += ["tam_Taml", "tha_Thai", "tur_Latn", "vie_Latn", "zho_Hans"]
    rows: dict[Split, int] = {"validation": 100, "test": 500}
    for split, count in rows.items():
        languages = covered("xcopa", place, split)
        assert [language.code for language in languages] == codes
        for language in languages:
            found = items("xcopa", place, split, language)
            assert [item.key for item in found] == [str(i) for i in range(count)]
            assert {item.segments[1] for item in found} <= {"cause", "effect"}
            assert split != "test" or labels(found) == {0: 250, 1: 250}
    premise = "Kifaa kilikuwa kimefungwa kwenye mfuko vibofu."
    assert items("xcopa", place, "test", SWAHILI)[0].segments == (
        premise, "cause", "Kikuwa nyepesi kuvunjika.", "Kilikuwa kidogo.",
    )  # fmt: skip


@needs_real
def test_mgsm_in_its_languages() -> None:
    place, codes = real("mgsm"), ["ben_Beng", "deu_Latn", "eng_Latn", "fra_Latn", "jpn_Jpan", "rus_Cyrl"]
    languages = covered("mgsm", place, "test")
    assert [each.code for each in languages] == [*codes, "spa_Latn", "swh_Latn", "tel_Telu", "tha_Thai", "zho_Hans"]
    english = items("mgsm", place, "test", ENGLISH)
    assert len(english) == 250
    assert all(isinstance(item.label, tuple) and item.label[0].isdigit() for item in english)
    for language in languages:
        assert keys(items("mgsm", place, "test", language)) == keys(english)


@needs_real
def test_xnli_extension_in_its_languages() -> None:
    place = real("xnli_extension_train")
    languages = covered("xnli", place, "train")
    assert [language.code for language in languages] == ["eng_Latn", "swh_Latn", "tur_Latn"]
    files = [items("xnli", place, "train", language) for language in languages]
    assert labels(files[0]) == {"contradiction": 5504, "entailment": 5100, "neutral": 4397}
    assert keys(files[0]) == keys(files[1]) == keys(files[2])
    assert files[1][0].segments == (
        "Sakata cream ya conceptually ina vipimo viwili vya msingi - bidhaa na geography .",
        "Bidhaa na geography ndio hufanya kazi ya utoaji wa cream .",
    )


@needs_real
@pytest.mark.parametrize("code", ["eng_Latn", "deu_Latn"])
def test_belebele(tmp_path: Path, code: str) -> None:
    rows = belebele(real(f"belebele_en_de/{code}.jsonl"), tmp_path / "data")
    found = items("belebele", tmp_path, "test", resolve(code))
    assert len(found) == 900
    assert len({item.segments[0] for item in found}) == 488
    assert all(len(item.segments) == 6 for item in found)
    for item, row in zip(found, rows, strict=True):
        assert isinstance(item.label, int)
        assert item.segments[2 + item.label] == row[f"mc_answer{row['correct_answer_num']}"].strip()


@needs_real
def test_flores_in_all_languages(tmp_path: Path) -> None:
    place = unpacked("flores200_devtest/all_languages.tar.xz", tmp_path) / "flores200"
    languages = covered("flores", place, "test")
    assert len(languages) == 204
    assert languages == [each for each in all_languages() if each.flores]
    assert not covered("flores", place, "validation")
    for language in languages:
        assert find("flores", place, "test", language) == flores.place(place, "devtest", language)
        sentences = flores.sentences(place, "devtest", language)
        assert sentences is not None
        assert len(sentences) == 1012
        assert all(sentence.strip() for sentence in sentences)


@needs_real
def test_oldi_seed_in_its_languages(tmp_path: Path) -> None:
    place = unpacked("oldi_seed/all_languages.tar.xz", tmp_path) / "seed"
    files = {path.name for path in place.iterdir()} - {"README.md", "metadata.tsv", "eng_Latn"}
    assert len(files) == 40
    english = (place / "eng_Latn").read_text(encoding="utf-8").splitlines()
    assert len(english) == 6193
    for name in files:
        lines = (place / name).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        pairs = {(one.strip(), other.strip()) for one, other in zip(english, lines, strict=True)}
        corpus = parallel.Corpus(str(place / "eng_Latn"), str(place / name))
        assert set(parallel.examples(corpus, 6193)) == pairs  # some stand there twice: three at most
        assert len(pairs) >= 6189
    known = files & {language.code for language in all_languages()}
    config = parallel.ParallelConfig(f"{place}/{{source}}", f"{place}/{{target}}")
    assert all(parallel.corpus(config, ENGLISH, resolve(code)) for code in known)


# Where the files are


# As published: in its repository, in what it is unpacked to, or on the hub.
LAYOUTS: list[tuple[str, str, Split, str]] = [
    ("xnli", "eng_Latn", "train", "XNLI-MT-1.0/multinli/multinli.train.en.tsv"),
    ("xnli", "swh_Latn", "test", "sw/test-00000-of-00001.parquet"),
    ("xnli", "zho_Hans", "validation", "zh/validation-00000-of-00001.parquet"),
    ("americasnli", "ayr_Latn", "test", "aym/test-00000-of-00001.parquet"),
    ("americasnli", "grn_Latn", "validation", "gn/validation-00000-of-00001.parquet"),
    ("americasnli", "bzd->spa_Latn", "test", "bzd/test-00000-of-00001.parquet"),
    ("kardes_nli", "azj_Latn", "test", "Data/azeri/xnli.test.az.csv"),
    ("kardes_sts", "uig_Arab", "validation", "Data/uyghur/sts.dev.ug.csv"),
    ("kardes_copa", "ug->uig_Arab", "test", "Data/uyghur/xcopa.test.ug.csv"),
    ("xcopa", "quy_Latn", "test", "data/qu/test.qu.jsonl"),
    ("xcopa", "quy_Latn", "validation", "qu/validation-00000-of-00001.parquet"),
    ("nusax", "bjn_Latn", "validation", "datasets/sentiment/banjarese/valid.csv"),
    ("nusax", "bjn_Latn", "validation", "bjn/validation/0000.parquet"),
    ("nusax", "mad->jav_Latn", "test", "mad/test/0000.parquet"),
    ("sib200", "nqo_Nkoo", "validation", "data/annotated/nqo_Nkoo/dev.tsv"),
    ("sib200", "ace_Arab", "train", "data/ace_Arab/train.tsv"),
    ("afrisenti", "swh_Latn", "test", "data/swa/test.tsv"),
    ("afrisenti", "gaz_Latn", "validation", "orm/validation/0000.parquet"),
    ("belebele", "arb_Latn", "test", "data/arb_Latn.jsonl"),
    ("belebele", "ben_Latn->ben_Beng", "test", "Belebele/ben_Latn.jsonl"),
    ("xquad", "deu_Latn", "test", "xquad.de.json"),
    ("xquad", "deu_Latn", "test", "xquad.de/validation-00000-of-00001.parquet"),
    ("flores", "sat_Olck", "validation", "flores200_dataset/dev/sat_Olck.dev"),
    ("xlsum", "run_Latn", "test", "kirundi_test.jsonl"),
    ("xlsum", "srp_Latn->srp_Cyrl", "validation", "serbian_latin/validation/0000.parquet"),
    ("xlsum", "uzn_Latn", "test", "uzbek/test/0000.parquet"),
    ("mgsm", "ben_Beng", "test", "mgsm_bn.tsv"),
    ("mgsm", "ben_Beng", "test", "bn/test-00000-of-00001.parquet"),
    ("masakhaner", "swh_Latn", "test", "MasakhaNER2.0/data/swa/test.txt"),
    ("masakhaner", "amh_Ethi", "train", "data/amh/train.txt"),
    ("masakhaner", "pcm->eng_Latn", "test", "pcm/test/0000.parquet"),
]


@pytest.mark.parametrize(("name", "language", "split", "path"), LAYOUTS)
def test_a_language_is_found_in_every_layout(
    tmp_path: Path, name: str, language: str, split: Split, path: str
) -> None:
    place = laid(tmp_path, path)
    assert find(name, place, split, resolve(language)) == tmp_path / path
    assert find(name, place, split, resolve("isl_Latn")) is None
    others = [each for each in official.SPLITS if each != split]
    assert [find(name, place, other, resolve(language)) for other in others] == [None, None]


@pytest.mark.parametrize(
    ("name", "language", "path"),
    [
        ("xnli", "zho_Hant", "zh/test-0.parquet"),
        ("mgsm", "arb_Latn", "mgsm_ar.tsv"),
        ("nusax", "bjn_Arab", "bjn/test/0000.parquet"),
        ("nusax", "ace_Arab", "acehnese/test.csv"),
    ],
)
def test_a_file_in_another_script_is_not_the_languages(tmp_path: Path, name: str, language: str, path: str) -> None:
    assert find(name, laid(tmp_path, path), "test", resolve(language)) is None


def test_the_first_layout_that_is_there_counts(tmp_path: Path) -> None:
    place = laid(tmp_path, "MasakhaNER2.0/data/hau/test.txt", "data/hau/test.txt")
    assert find("masakhaner", place, "test", resolve("hau_Latn")) == place / "MasakhaNER2.0/data/hau/test.txt"


def test_a_file_in_parts_is_refused(tmp_path: Path) -> None:
    place = laid(tmp_path, "en/train-00000-of-00002.parquet", "en/train-00001-of-00002.parquet")
    with pytest.raises(UserError, match=r"benchmarks: xnli: .*/en/train-\*.parquet: is in 2 files; name a folder"):
        find("xnli", place, "train", ENGLISH)


def test_a_file_of_all_languages_is_only_theirs(tmp_path: Path) -> None:
    rows = ["language\tgold_label\tsentence1\tsentence2\tpairID", "ar\tneutral\ta\tb\t1", "zh\tneutral\ta\tb\t1"]
    path = tmp_path / "XNLI-1.0/xnli.test.tsv"
    laid(tmp_path, "XNLI-1.0/xnli.test.tsv").joinpath(path).write_text("\n".join(rows), encoding="utf-8")
    assert [language.code for language in covered("xnli", tmp_path, "test")] == ["arb_Arab", "zho_Hans"]
    assert find("xnli", tmp_path, "test", resolve("zho_Hans")) == path
    asked = {"example_id": 1, "queries": {"en": "Q?", "zh_tw": "Q?", "qaa_Latn": "Q?"}}
    asked |= {"answers": {name: [{"type": "entity", "text": "a"}] for name in ("en", "zh_tw", "qaa_Latn")}}
    (tmp_path / "mkqa.jsonl").write_text(json.dumps(asked), encoding="utf-8")
    assert [language.code for language in covered("mkqa", tmp_path, "test")] == ["eng_Latn", "zho_Hant"]
    assert find("mkqa", tmp_path, "test", declare("qaa_Latn", "Velan")) == tmp_path / "mkqa.jsonl"


def test_a_file_or_a_pattern_in_place_of_a_folder(tmp_path: Path) -> None:
    made, names = declare("qaa_Latn", "Velan"), ("a/qaa_Latn.test.tsv", "a/qaa_Latn.dev.tsv", "a/swahili.tsv")
    laid(tmp_path, *names)
    place = folder("sib200", f"{tmp_path}/a/{{language}}.{{split}}.tsv")
    splits: tuple[Split, ...] = ("train", "validation", "test")
    found = [find("sib200", place, split, made) for split in splits]
    assert found == [None, tmp_path / "a/qaa_Latn.dev.tsv", tmp_path / "a/qaa_Latn.test.tsv"]
    assert find("sib200", place, "test", SWAHILI) is None
    named = folder("afrisenti", f"{tmp_path}/a/{{name}}.tsv")
    assert find("afrisenti", named, "test", SWAHILI) == tmp_path / "a/swahili.tsv"
    assert find("afrisenti", named, "validation", SWAHILI) is None
    one = folder("mgsm", str(tmp_path / "a/swahili.tsv"))
    assert [find("mgsm", one, split, SWAHILI) for split in splits] == [None, None, one]
    with pytest.raises(UserError, match=r"there is no {lang} to fill in; there are {language}, {iso3}"):
        find("mgsm", folder("mgsm", f"{tmp_path}/{{lang}}.tsv"), "test", SWAHILI)


# On the hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the hub, which is not asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cached(hub: Path, dataset: str, revision: str = "main") -> Path:
    """A dataset's folder there."""
    commit, place = "0" * 40, hub / f"datasets--{dataset.replace('/', '--')}"
    (place / "refs" / revision).parent.mkdir(parents=True)
    (place / "refs" / revision).write_text(commit)
    (place / "snapshots" / commit).mkdir(parents=True)
    return place / "snapshots" / commit


@pytest.mark.parametrize("given", ["", "facebook/xnli", "someone/like-xnli"])
def test_a_dataset_is_taken_from_the_hub(hub: Path, given: str) -> None:
    place = cached(hub, given or "facebook/xnli")
    rows = [{"premise": "A.", "hypothesis": "B.", "label": label} for label in (0, 2)]
    laid(place, "sw/test-00000-of-00001.parquet")
    pq.write_table(pa.Table.from_pylist(rows), place / "sw/test-00000-of-00001.parquet")
    assert folder("xnli", given) == place
    assert keys(items("xnli", folder("xnli", given), "test", SWAHILI)) == [
        ("1", "entailment"),
        ("2", "contradiction"),
    ]


@pytest.mark.parametrize("given", ["", "indonlp/NusaX-senti", "someone/nusax@refs/convert/parquet"])
def test_a_dataset_that_is_a_script_is_taken_as_the_parquet_of_the_hub(hub: Path, given: str) -> None:
    place = cached(hub, given.partition("@")[0] or "indonlp/NusaX-senti", "refs/convert/parquet")
    laid(place, "ace/test/0000.parquet")
    found = find("nusax", folder("nusax", given), "test", resolve("ace_Latn"))
    assert found == place / "ace/test/0000.parquet"


def test_only_what_may_be_needed_is_downloaded(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def download(_dataset: str, **given: Any) -> str:
        asked.update(given)
        return str(laid(hub, "et/test-0.parquet"))

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    folder("xcopa", splits=["test"])
    assert asked["repo_type"] == "dataset"
    assert asked["allow_patterns"] == ["data/*/test.*.jsonl", "*/test.*.jsonl", "*/test-*.parquet"]
    assert "translation-*/*" in asked["ignore_patterns"]
    folder("xcopa")
    assert "*/validation-*.parquet" in asked["allow_patterns"]


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("xnli", "", "xnli: facebook/xnli: no file or folder here, and the hub does not give it: "),
        ("xnli", "no such name", "xnli: no such name: no file or folder here, and the hub does not give it: "),
        ("xnli", "/no/such/folder", "xnli: /no/such/folder: there is no such file or folder here"),
        ("xnli", "a/b/c", "xnli: a/b/c: there is no such file or folder here"),
        ("kardes_sts", "", "kardes_sts: the hub has no files of it: name a folder with those of https://"),
        ("xcopaa", "", r"'xcopaa' is no benchmark \(did you mean xcopa\?\); there are xnli, americasnli"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_is_nowhere_is_one_line(name: str, given: str, why: str) -> None:
    with pytest.raises(UserError, match=f"^benchmarks: {why}") as raised:
        folder(name, given)
    assert "\n" not in str(raised.value)


def test_a_dataset_without_the_files_is_refused(hub: Path) -> None:
    laid(cached(hub, "apple/mkqa"), "mkqa.py")
    with pytest.raises(UserError, match=r"benchmarks: mkqa: apple/mkqa: holds none of dataset/mkqa.jsonl.gz, "):
        folder("mkqa", "apple/mkqa")


# What is said of them


def test_every_benchmark_has_a_format_and_every_quirk_a_benchmark() -> None:
    assert {each.format for each in OFFICIAL.values()} - FORMATS.keys() == {"flores"}
    assert QUIRKS.keys() <= OFFICIAL.keys()
    assert all(each.hub or each.home for each in OFFICIAL.values())
    for quirks in QUIRKS.values():
        for quirk in quirks.values():
            assert not quirk.nearest or resolve(quirk.nearest).nllb


def test_belebele_has_six_varieties_that_nllb_lacks() -> None:
    assert QUIRKS["belebele"].keys() == {"arb_Latn", "ben_Latn", "hin_Latn", "npi_Latn", "sin_Latn", "urd_Latn"}
    assert not {each.code for each in all_languages() if each.nllb} & QUIRKS["belebele"].keys()


@pytest.mark.parametrize(
    ("name", "language", "note"),
    [
        ("kardes_nli", "uig_Arab", "the file is in Cyrillic script; the encoder reads Uyghur in Arabic script"),
        ("xcopa", "quy_Latn", QUIRKS["xcopa"]["quy_Latn"].note),
        ("nusax", "mad->jav_Latn", "NLLB lacks Madurese; Javanese is its neighbour; jav_Latn stands in for mad"),
        ("xnli", "xyz->jav_Latn", "jav_Latn stands in for xyz"),
        ("masakhaner", "swh_Latn", None),
        ("xcopa", "swh_Latn", None),
    ],
)  # fmt: skip
def test_what_is_odd_is_said(name: str, language: str, note: str | None) -> None:
    assert notes(name, resolve(language)) == note
