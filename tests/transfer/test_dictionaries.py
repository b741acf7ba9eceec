import os
import tarfile
from pathlib import Path

import pytest

from xlnu.errors import UserError
from xlnu.languages import all_languages, resolve
from xlnu.transfer.dictionaries import Dictionary, find, fold, read

ENGLISH = resolve("eng_Latn")


def written(folder: Path, data: str | bytes) -> Dictionary:
    path = folder / "dictionary"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read(str(path))


def test_a_word_has_all_its_equivalents_once_and_in_the_order_of_the_file(tmp_path: Path) -> None:
    there = written(tmp_path, "cat minou\ndog chien\ncat chat\ncat minou\n")
    assert there.entries == {"cat": ("minou", "chat"), "dog": ("chien",)}
    assert (there.path, there.lines, there.malformed) == (str(tmp_path / "dictionary"), 4, 0)


def test_spaces_separate_where_there_are_no_tabs_and_one_tab_among_them_is_a_space(tmp_path: Path) -> None:
    there = written(tmp_path, "cat le chat\ndog\tchien\n bird  oiseau \n")
    assert there.entries == {"cat": ("le chat",), "dog": ("chien",), "bird": ("oiseau",)}


def test_where_tabs_separate_a_line_without_one_is_malformed(tmp_path: Path) -> None:
    there = written(tmp_path, "at least\tau moins\nat most\ncat\t chat \n")
    assert there.entries == {"at least": ("au moins",), "cat": ("chat",)}
    assert (there.lines, there.malformed) == (3, 1)


def test_lines_that_are_none_are_counted(tmp_path: Path) -> None:
    there = written(tmp_path, b"a\tx\n\t\xc3\xa9t\xc3\xa9\nsummer\t\nb\t\xe9t\xe9\none\ttwo\tthree\n\n  \nc\ty")
    assert there.entries == {"a": ("x",), "c": ("y",)}
    assert (there.lines, there.malformed) == (6, 4)


def test_files_of_other_systems(tmp_path: Path) -> None:
    assert written(tmp_path, b"\xef\xbb\xbfa\tx\r\nb\ty\r\n").entries == {"a": ("x",), "b": ("y",)}


def test_notes_in_brackets_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = "pike (verb)\tpiquer\nsurname\tфамили(я)\nworse\tأسوأ(repeated)\nteam\t隊（名詞）\ncat\tchat\n"
    there = written(tmp_path, lines)
    assert there.entries == {"cat": ("chat",)}
    assert (there.lines, there.malformed, there.annotated) == (5, 0, 4)


def test_words_are_found_in_any_case_and_spelling() -> None:
    assert fold("DON’T") == fold("don't")
    assert fold("E\u0301TE\u0301") == fold("été")
    assert fold("STRASSE") == fold("Straße")
    assert fold("ཁྱིམ༌ནང་") == fold("ཁྱིམ་ནང")


def test_capitalised_is_what_the_file_never_writes_small(tmp_path: Path) -> None:
    there = written(tmp_path, "I\tyo\nMay\tmayo\nmay\tpuede\nÉire\tIrlanda\ncat\tgato\n")
    assert there.capitalised == {"i", "éire"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no entry in 0 lines: write a word, a tab or space, its equivalent"),
        (b"\n \n", "holds no entry in 0 lines"),
        (b"cat\ndog\n", "holds no entry in 2 lines"),
        ("cat\tchat\ndog\tchien\n".encode("utf-16"), "holds no entry in 3 lines"),
    ],
)
def test_what_is_no_dictionary(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        written(tmp_path, data)
    assert str(caught.value).startswith(f"{tmp_path}/dictionary: {message}")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(UserError) as caught:
            read(str(path))
        assert str(caught.value) == f"{path}: the dictionary cannot be read: {why}"


@pytest.mark.parametrize(
    ("pattern", "target", "path"),
    [
        ("muse/{source_iso1}-{target_iso1}.txt", "fra_Latn", "muse/en-fr.txt"),
        ("{source_tag}_{target_tag}.tsv", "fra_Latn", "en_fr.tsv"),
        ("{source_tag}_{target_tag}.tsv", "ace_Latn", "en_ace.tsv"),
        ("{source}-{target}.txt", "ace_Latn", "eng_Latn-ace_Latn.txt"),
        ("{target_iso3}/{source_iso3}", "fra_Latn", "fra/eng"),
        ("{target_iso1}.txt", "ace_Latn", ".txt"),
        ("~/one", "fra_Latn", "/home/me/one"),
    ],
)
def test_names_of_files(pattern: str, target: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert find(pattern, ENGLISH, resolve(target)) == path


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(UserError) as caught:
        find("{source_tag}/{lang}.txt", ENGLISH, resolve("fra_Latn"))
    assert str(caught.value) == (
        "'{source_tag}/{lang}.txt': there is no {lang} to fill in; there are {source}, {source_iso1}, "
        "{source_iso3}, {source_tag}, {target}, {target_iso1}, {target_iso3}, {target_tag}"
    )


@pytest.mark.parametrize(
    ("lines", "fitting", "other"),
    [
        ("cat\tkedi\ndog\tit 1234567890\n", "crh_Latn", "kaz_Cyrl"),
        ("cat\tмышыкъ\ndog\tкопек, TV\n", "kaz_Cyrl", "crh_Latn"),
        ("cat\tねこ\ndog\tイヌ\nman\t人\n", "jpn_Jpan", "zho_Hans"),
        ("cat\t貓\ndog\t狗\n", "yue_Hant", "kor_Hang"),
    ],
)
def test_the_script_of_the_equivalents(lines: str, fitting: str, other: str, tmp_path: Path) -> None:
    there = written(tmp_path, lines)
    assert there.written_in(resolve(fitting))
    assert not there.written_in(resolve(other))


@pytest.mark.skipif("XLNU_REAL_DATA" not in os.environ, reason="XLNU_REAL_DATA names no folder of real data")
def test_all_of_gatitos(tmp_path: Path) -> None:
    with tarfile.open(Path(os.environ["XLNU_REAL_DATA"], "gatitos/all_languages.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    every = [read(str(path)) for path in tmp_path.glob("gatitos/en_*.tsv")]
    assert len(every) == 173
    assert sum(each.lines for each in every) == 759_833
    assert sum(each.malformed for each in every) == 1  # the second half of a line that a line end breaks
    assert sum(each.annotated for each in every) == 314
    pattern = f"{tmp_path}/gatitos/{{source_tag}}_{{target_tag}}.tsv"
    paths = {each: find(pattern, ENGLISH, each) for each in all_languages()}
    there = {each: read(path) for each, path in paths.items() if os.path.exists(path)}
    assert len(there) == 82
    wrong = [each.code for each, dictionary in there.items() if not dictionary.written_in(each)]
    assert wrong == ["ace_Arab", "bjn_Arab", "crh_Latn", "kaa_Latn", "kas_Deva", "knc_Arab", "min_Arab"]
