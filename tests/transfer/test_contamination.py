"""What is found of a benchmark in a text, what is not, and from which kinds of files."""

import csv
import gzip
import io
import json
import lzma
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlnu.errors import UserError
from xlnu.transfer.contamination import Benchmarks, fingerprint

LONG = "The old ferry crosses the wide river twice a day, even when the wind is strong in the autumn."
SHORT = "Nobody had ever seen it."
JAPANESE = "その古い渡し船は、秋に風が強い日でも一日に二回、広い川を渡ります。"
THAI = "เรือข้ามฟากเก่าข้ามแม่น้ำกว้างวันละสองครั้งแม้ว่าลมจะแรงในฤดูใบไม้ร่วงก็ตาม"
HINDI = "पुरानी नाव शरद ऋतु में तेज़ हवा होने पर भी दिन में दो बार चौड़ी नदी पार करती है।"
TURKISH = "Eski vapur, sonbaharda rüzgâr sert olsa bile geniş ırmağı günde iki kez geçer ve kıyıdaki ışığa bakar."
FRENCH = "Le vieux bac traverse la large rivière deux fois par jour, même quand le vent est très fort en été."
LINES = [LONG, SHORT, JAPANESE, THAI, HINDI, TURKISH, FRENCH]


def benchmarks(folder: Path, *lines: str, n: int = 13) -> Benchmarks:
    file = folder / "lines.devtest"
    file.write_text("\n".join(lines or LINES), encoding="utf-8")
    return Benchmarks.read([str(file)], n)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(
    "change",
    [
        str,
        str.upper,
        str.lower,
        lambda line: f"Translate into German:\n{line}\nThank you, and again tomorrow.",
        lambda line: line.replace(",", " –").replace("、", " ").replace(".", "!?").replace(" ", "  "),
        lambda line: line.replace(" ", "\n"),
        lambda line: line.translate({ord("è"): "e", ord("ê"): "e", ord("é"): "e\u0301", ord("â"): "a"}),
        lambda line: "\u200b".join(line.partition("a")),
        lambda line: f"1. {line} (2019)",
    ],
)
def test_a_line_is_found_however_it_is_written(line: str, change: Callable[[str], str], tmp_path: Path) -> None:
    assert benchmarks(tmp_path).found_in(change(line)) == "lines.devtest"


def test_thirteen_words_in_a_row_are_enough_and_twelve_are_not(tmp_path: Path) -> None:
    found_in = benchmarks(tmp_path).found_in
    words = LONG.split()
    for start in range(len(words) - 12):
        assert found_in("He said: " + " ".join(words[start : start + 13]) + " indeed")
        assert not found_in("He said: " + " ".join(words[start : start + 12]) + " indeed")
    assert not found_in(LONG.replace("river", "stream"))
    assert benchmarks(tmp_path, n=12).found_in(" ".join(words[:12]))


def test_without_spaces_letters_are_counted(tmp_path: Path) -> None:
    """26 ideographs, or 52 letters of a script such as Thai, stand for 13 words."""
    found_in = benchmarks(tmp_path).found_in
    letters = [c for c in JAPANESE if c not in "、。"]
    assert found_in("はい" + "".join(letters[2:28]) + "ね")
    assert not found_in("はい" + "".join(letters[2:27]) + "ね")
    bases = [place for place, c in enumerate(THAI) if c.isalpha()]
    assert found_in("ค่ะ" + THAI[bases[3] : bases[55]])
    assert not found_in("ค่ะ" + THAI[bases[3] : bases[54]])


def test_a_shorter_line_counts_only_whole(tmp_path: Path) -> None:
    found_in = benchmarks(tmp_path, SHORT, "It was quite late.", "Go on then, my old cat").found_in
    assert found_in("In the end nobody had ever seen it, they said.")
    assert not found_in("In the end nobody had ever seen him.")
    assert not found_in("Go on then, my old category of things")
    assert not found_in("It was quite late.")  # four words


def test_lines_do_not_run_into_one_another(tmp_path: Path) -> None:
    one, other = "we all went home by the northern road", "then came back before the sun was up again"
    assert not benchmarks(tmp_path, one, other).found_in(f"went home by the northern road {other[:34]}")
    assert benchmarks(tmp_path, f"{one} {other}").found_in(f"went home by the northern road {other[:34]}")


def test_numbers_are_compared_but_are_no_words(tmp_path: Path) -> None:
    numbers = " ".join(str(number) for number in range(1, 40))
    found_in = benchmarks(tmp_path, numbers, "On day 1 of 30 the ship left port").found_in
    assert not found_in(numbers)
    assert not found_in("On day 2 of 30 the ship left port")
    assert found_in("On day 1 of 30 the ship left port")


def test_a_line_that_has_lost_its_spaces_is_found(tmp_path: Path) -> None:
    lost = LONG.replace(" ", "")
    assert benchmarks(tmp_path, lost).found_in(f"so {lost}")


# Short, so that it is found only where a cell ends where it ends; with commas, to be quoted in CSV.
CELL = "Nobody, it seems, had ever seen it."


def packed(mode: Literal["w", "w:gz", "w:xz"]) -> Callable[[Path], None]:
    def pack(file: Path) -> None:
        with tarfile.open(file, mode) as archive:
            for name, text in [
                ("in/a.tsv", f"7\tnews\t{CELL}"),
                ("in/LICENSE", TURKISH),
                ("in/README.md", TURKISH),
            ]:
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))

    return pack


def as_csv(file: Path) -> None:
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerow(["7", CELL, "news"])


def as_zip(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("in/a.jsonl", "\ufeff" + json.dumps({"flores_passage": CELL}) + "\n\n")


NESTED: dict[str, Any] = {"items": [{"n": 3, "none": None, "answers": [{"text": CELL}]}]}
KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a.txt": (lambda f: f.write_text(f"{CELL}\n{HINDI}"), ""),
    "eng_Latn": (lambda f: f.write_text(f"{CELL}\n{HINDI}"), ""),
    "a.tsv": (lambda f: f.write_text(f'7\t"{CELL}"\tnews'), ""),
    "a.csv": (as_csv, ""),
    "a.json": (lambda f: f.write_text(json.dumps(NESTED)), ""),
    "a.jsonl": (lambda f: f.write_text(json.dumps(NESTED) + "\n"), ""),
    "a.parquet": (lambda f: pq.write_table(pa.table({"n": [1], "deep": [NESTED]}), f), ""),
    "a.txt.gz": (lambda f: f.write_bytes(gzip.compress(CELL.encode())), "/a.txt"),
    "a.tar": (packed("w"), "/in/a.tsv"),
    "a.tar.gz": (packed("w:gz"), "/in/a.tsv"),
    "a.tar.xz": (packed("w:xz"), "/in/a.tsv"),
    "a.tgz": (packed("w:gz"), "/in/a.tsv"),
    "a.zip": (as_zip, "/in/a.jsonl"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_read_alone_and_in_a_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    (folder / "deep").mkdir(parents=True)
    write, member = KINDS[name]
    write(folder / "deep" / name)
    for beside in ("README", "README.md", "LICENSE-CC-BY-SA", ".hidden"):
        (folder / beside).write_text(TURKISH)
    whole, alone = Benchmarks.read([str(folder)]), Benchmarks.read([str(folder / "deep" / name)])
    assert whole.found_in(f"So: {CELL}") == f"bench/deep/{name}{member}"
    assert alone.found_in(f"So: {CELL}") == f"{name}{member}"
    assert whole.found_in(TURKISH) is None


def test_the_right_one_of_many_files_is_named(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}.txt").write_text(f"{SHORT}\nThe word of this file is w{number} and w{number}a.")
    found_in = Benchmarks.read([str(tmp_path)]).found_in
    assert found_in("The word of this file is w299 and w299a.") == f"{tmp_path.name}/299.txt"
    assert found_in(SHORT) == f"{tmp_path.name}/000.txt"


def test_another_process_finds_the_same(tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(pickle.dumps(benchmarks(tmp_path)))
    ask = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).found_in(sys.argv[2]))"
    for text, found in [
        (f"Well: {LONG}", "lines.devtest"),
        (SHORT, "lines.devtest"),
        ("Well, well, well.", "None"),
    ]:
        command = [sys.executable, "-c", ask, str(tmp_path / "sent"), text]
        done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True)
        assert done.stdout.strip() == found, done.stderr


def test_the_fingerprint_is_of_the_content_alone(tmp_path: Path) -> None:
    prints = []
    for folder, line in [("here", LONG), ("there", LONG), ("other", LONG.swapcase())]:
        (tmp_path / folder / "bench").mkdir(parents=True)
        (tmp_path / folder / "bench" / "a.txt").write_text(line)
        prints.append(fingerprint([str(tmp_path / folder / "bench")]))
        assert Benchmarks.read([str(tmp_path / folder / "bench")]).fingerprint == prints[-1]
    assert prints[0] == prints[1] != prints[2]


CUT_OFF = lzma.compress(LONG.encode() * 50)[:-20]
ADVICE = "give UTF-8 text, TSV, CSV, JSON, JSON lines, Parquet, or a tar or zip archive of them"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("gone.txt", None, "cannot be read: No such file or directory; name a file or a folder"),
        ("a.png", b"\x89PNG\r\n", f"a.png cannot be read as a benchmark: 'utf-8' codec .*; {ADVICE}"),
        ("a.json", b"{", f"a.json cannot be read as a benchmark: Expecting .*; {ADVICE}"),
        ("a.jsonl", b'"ok"\n{', f"a.jsonl cannot be read as a benchmark: Expecting .*; {ADVICE}"),
        ("a.csv", b"a" * 200_000, f"a.csv cannot be read as a benchmark: field larger .*; {ADVICE}"),
        ("a.parquet", b"PAR1", f"a.parquet cannot be read as a benchmark: .+; {ADVICE}"),
        ("a.tar.xz", CUT_OFF, f"a.tar.xz cannot be read as a benchmark: .+; {ADVICE}"),
        ("a.tar", b"tar", f"a.tar cannot be read as a benchmark: .+; {ADVICE}"),
        ("a.zip", b"zip", f"a.zip cannot be read as a benchmark: .+; {ADVICE}"),
        ("a.gz", gzip.compress(b"text", mtime=0)[:-6], f"a.gz cannot be read as a benchmark: .+; {ADVICE}"),
        ("a.txt", b"news\nsports\n", "no line has 5 words; name files of a benchmark's text"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(name: str, data: bytes | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(UserError, match=rf"^{file}: {said}$") as caught:
        Benchmarks.read([str(file)])
    assert "\n" not in str(caught.value)


def test_a_folder_with_no_file_protects_nothing(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text(LONG)
    with pytest.raises(UserError, match=rf"^{tmp_path}: a folder of benchmarks with no file in it; "):
        Benchmarks.read([str(tmp_path)])


@pytest.fixture(scope="module")
def real() -> Path:
    folder = os.environ.get("XLNU_REAL_DATA")
    if not folder:
        pytest.skip("XLNU_REAL_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="module")
def flores(real: Path) -> Benchmarks:
    return Benchmarks.read([str(real / "flores200_devtest")])


def test_flores_is_found_in_204_languages_and_is_small(real: Path, flores: Benchmarks) -> None:
    seen, missed = 0, []
    with tarfile.open(real / "flores200_devtest" / "all_languages.tar.xz") as archive:
        for member in archive:
            if member.name.endswith(".devtest") and (file := archive.extractfile(member)):
                for line in file.read().decode().splitlines()[::50]:
                    seen += 1
                    if not flores.found_in(f"Please translate: «{line.swapcase()}»"):
                        missed.append(line)
    assert seen == 204 * 21
    assert len(missed) <= seen * 0.0005, missed  # of all 206,448 lines, 21 have fewer than five words
    assert len(pickle.dumps(flores)) < 25e6


def test_honest_data_shares_nothing_with_flores(real: Path, flores: Benchmarks) -> None:
    texts = [json.dumps(row) for row in json.loads((real / INSTRUCTIONS).read_text())]
    with tarfile.open(real / "oldi_seed" / "all_languages.tar.xz") as archive:
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)):
                texts += file.read().decode().splitlines()[::50]
    assert len(texts) > 6000
    assert [text for text in texts if flores.found_in(text)] == []


INSTRUCTIONS = "instructions/llms_from_scratch_instruction-data.json"
