import json
import math
import os
import random
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from xlnu.languages import Language, declare, resolve
from xlnu.transfer.dictionaries import Dictionary, read
from xlnu.transfer.switch import Switched, switch

ENGLISH = resolve("eng_Latn")
WORDS = [f"{a}{b}{c}" for a in "bdgkmnpst" for b in "aeiou" for c in "lmnrst"]  # 270 of them
Made = Callable[..., Dictionary]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(*pairs: tuple[str, str]) -> Dictionary:
        path = tmp_path / "dictionary"
        path.write_text("".join(f"{word}\t{equivalent}\n" for word, equivalent in pairs))
        return read(str(path))

    return make


def all_switched(text: str, dictionary: Dictionary, source: Language = ENGLISH) -> str:
    return switch(text, dictionary, 1, 0, "row", source).text


def test_the_seed_and_the_row_decide_and_nothing_else(made: Made) -> None:
    """The text itself stands here: what it is may not depend on the process either, as hash() would."""
    dictionary = made(*((word, f"{word.upper()}{i}") for word in WORDS for i in (1, 2)))
    text = " ".join(WORDS[:12])
    before = random.getstate()
    assert switch(text, dictionary, 0.3, 7, "a row", ENGLISH).text == (
        "BAL1 bam ban bar BAS1 BAT2 bel BEM2 BEN1 ber BES1 bet"
    )
    assert random.getstate() == before
    others = [(7, "another row"), (8, "a row")]
    assert (
        len({switch(text, dictionary, 0.3, seed, row, ENGLISH).text for seed, row in [(7, "a row"), *others]}) == 3
    )


def test_a_larger_p_changes_only_what_it_adds(made: Made) -> None:
    dictionary = made(*((word, f"{word.upper()}{i}") for word in WORDS for i in range(5)))
    text = " ".join(WORDS)
    before = WORDS
    for p in (0.05, 0.15, 0.3, 0.5, 1):
        now = switch(text, dictionary, p, 3, "row", ENGLISH).text.split(" ")
        kept = [new for old, new, word in zip(before, now, WORDS, strict=True) if old != word]
        assert kept == [old for old, word in zip(before, WORDS, strict=True) if old != word]
        assert sum(new != word for new, word in zip(now, WORDS, strict=True)) > len(kept)
        before = now


def test_a_larger_dictionary_changes_only_what_it_adds(made: Made) -> None:
    pairs = [(word, f"{word.upper()}{i}") for word in WORDS for i in range(5)]
    dictionaries = made(*(pair for pair in pairs if pair[0] in WORDS[::2])), made(*pairs)
    few, many = (switch(" ".join(WORDS), each, 0.5, 3, "row", ENGLISH).text.split(" ") for each in dictionaries)
    assert few[::2] == many[::2] != WORDS[::2]
    assert few[1::2] == WORDS[1::2] != many[1::2]


def test_at_0_nothing_is_switched_and_at_1_all(made: Made) -> None:
    dictionary = made(*((word, "x") for word in WORDS))
    for row in map(str, range(100)):
        assert switch(" ".join(WORDS), dictionary, 0, 0, row, ENGLISH).switched == 0
        assert switch(" ".join(WORDS), dictionary, 1, 0, row, ENGLISH).switched == len(WORDS)


def test_each_equivalent_is_as_probable_as_the_others(made: Made) -> None:
    dictionary = made(*(("cat", equivalent) for equivalent in "abcde"))
    drawn = Counter(switch("cat", dictionary, 0.5, 0, str(row), ENGLISH).text for row in range(10_000))
    assert abs(drawn.pop("cat") - 5000) < 4 * math.sqrt(10_000 * 0.5 * 0.5)
    assert drawn.keys() == set("abcde")
    assert all(abs(count - 1000) < 4 * math.sqrt(10_000 * 0.1 * 0.9) for count in drawn.values())


def test_what_is_counted(made: Made) -> None:
    dictionary = made(("cat", "chat"), ("dog", "chien"), ("at least", "au moins"))
    assert switch("A cat, at least 2 CATS", dictionary, 1, 0, "row", ENGLISH) == Switched(
        "A chat, at least 2 CATS", words=5, known=1, switched=1
    )
    assert switch("cat dog", dictionary, 0, 0, "row", ENGLISH) == Switched("cat dog", 2, 2, 0)
    assert switch("", dictionary, 1, 0, "row", ENGLISH) == Switched("", 0, 0, 0)


@pytest.mark.parametrize(
    ("pair", "text", "switched"),
    [
        (("don't", "x"), "I don't, don’t DON'T 'don't'", "I x, x X 'x'"),
        (("well-known", "x"), "a well-known well -known well‑known", "a x well -known well‑known"),
        (("well", "x"), "well-known swell well.", "well-known swell x."),
        (("été", "x"), "été e\u0301te\u0301 eté", "x x eté"),
        (("कि", "x"), "कि किताब की क", "x किताब की क"),
        (("में", "x"), "हिन्दी में, मेंढक", "हिन्दी x, मेंढक"),
        (("க", "x"), "க கா கை தமிழ்க", "x கா கை தமிழ்க"),
        (("தமிழ்", "x"), "தமிழ் மொழி", "x மொழி"),
        (("שלום", "x"), "שלום שָׁלוֹם", "x שָׁלוֹם"),
        (("می‌روم", "x"), "می‌روم می", "x می"),
        (("o‘zbek", "x"), "o'zbek o‘zbekcha", "x o‘zbekcha"),
        (("col·legi", "x"), "col·legi col", "x col"),
    ],
)
def test_marks_apostrophes_and_hyphens_belong_to_the_word(
    pair: tuple[str, str], text: str, switched: str, made: Made
) -> None:
    assert all_switched(text, made(pair)) == switched


def test_the_words_of_hindi_and_tamil_are_counted_as_they_are_read(made: Made) -> None:
    dictionary = made(("यह", "this"), ("है", "is"))
    hindi = switch("यह हिन्दी में लिखा हुआ है।", dictionary, 1, 0, "row", resolve("hin_Deva"))
    assert hindi == Switched("this हिन्दी में लिखा हुआ is।", words=6, known=2, switched=2)
    tamil = switch("நான் தமிழ் படிக்கிறேன்", dictionary, 1, 0, "row", resolve("tam_Taml"))
    assert (tamil.words, tamil.known) == (3, 0)


@pytest.mark.parametrize(
    "untouched",
    [
        "https://cat.org/cat?cat=cat#cat",
        "www.cat.com/cat",
        "cat.com",
        "cat-dog@cat-dog.com",
        "`cat dog`",
        "```\ncat\n\ncat dog\n```",
        "~~~ cat\ncat\n~~~",
        "```cat\ncat",
        "{cat}",
        "{{cat}}",
        "${cat}",
        "%(cat)s %s",
        "<cat>",
        "</cat>",
        '<a class="cat dog">',
        "&cat;",
        "cat_dog",
        "_cat",
        "cat3",
        "3cat",
        "3,000.5 ٣ 1/2",
        "  \t\n\n  ¿!? — “” …  \r\n",
    ],
)
def test_what_no_draw_may_touch(untouched: str, made: Made) -> None:
    pairs = [(word, "X") for word in ("cat", "dog", "a", "s", "class", "https", "org", "www", "com", "cat.com")]
    found = switch(untouched, made(*pairs), 1, 0, "row", ENGLISH)
    assert found == Switched(untouched, 0, 0, 0)
    chinese = made(*pairs, ("貓", "Y"))
    assert all_switched(untouched, chinese, resolve("yue_Hant")) == untouched


def test_what_stands_around_it_is_switched_as_ever(made: Made) -> None:
    dictionary = made(("cat", "chat"), ("dog", "chien"))
    text = (
        'Cat: `cat` cat, "cat" (see https://cat.org/cat) \n\n- cat/dog  <b>cat</b> 50% cat 5 < cat > 3\r\n{cat} cat'
    )
    assert all_switched(text, dictionary) == (
        'Chat: `cat` chat, "chat" (see https://cat.org/cat) \n\n- chat/chien  <b>chat</b> 50% chat 5 < chat > 3\r\n'
        "{cat} chat"
    )


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece", ["a", "a.", "-", "a+", "a-", "`", "{", "<a", "a:", "&a", "~~~ ", "`a", "%(", "a_", "我"]
)
@pytest.mark.parametrize("source", ["eng_Latn", "zho_Hans"])
def test_no_text_takes_quadratic_time(piece: str, source: str, made: Made) -> None:
    text = piece * 100_000
    assert all_switched(text, made(("cat", "chat")), resolve(source)) == text


@pytest.mark.parametrize(
    ("pair", "text", "switched"),
    [
        (("dog", "perro"), "dog Dog DOG dOG", "perro Perro PERRO perro"),
        (("dog", "Hund"), "dog Dog DOG", "Hund Hund HUND"),
        (("i", "yo"), "I i", "Yo yo"),
        (("I", "yo"), "I i", "yo yo"),
        (("Yes", "Sí"), "yes Yes YES", "sí Sí SÍ"),
        (("Monday", "lunes"), "Monday monday MONDAY", "lunes lunes LUNES"),
        (("dog", "狗"), "dog Dog DOG", "狗 狗 狗"),
        (("dog", "ძაღლი"), "dog Dog DOG", "ძაღლი ძაღლი ძაღლი"),
        (("dog", "ǆukela"), "dog Dog DOG", "ǆukela ǅukela ǄUKELA"),
        (("day", "ʻaho lelei"), "day Day DAY", "ʻaho lelei ʻAho lelei ʻAHO LELEI"),
        (("street", "straße"), "STREET", "STRASSE"),
        (("собака", "dog"), "Собака СОБАКА", "Dog DOG"),
        (("狗", "dog"), "狗", "dog"),
    ],
)
def test_the_text_keeps_its_case(pair: tuple[str, str], text: str, switched: str, made: Made) -> None:
    assert all_switched(text, made(pair)) == switched


@pytest.mark.parametrize(
    ("source", "words", "text", "pieces"),
    [
        ("zho_Hans", "北京 北京大学 大学生", "北京大学生去北京", "[北京大学]生去[北京]"),
        ("zho_Hans", "人 工人 人口", "工人口", "[工人]口"),
        ("zho_Hans", "人工智能", "人工智慧", "人工智慧"),
        ("jpn_Jpan", "き コーヒ 食 は コーヒー", "きょうはコーヒーを食べる", "きょう[は][コーヒー]を[食]べる"),
        ("jpn_Jpan", "か", "がか\u3099か", "がか\u3099[か]"),
        ("jpn_Jpan", "コ ヒ", "コーヒー", "コーヒー"),
        ("tha_Thai", "ก", "กากะกำกๅก", "กากะกำกๅ[ก]"),
        ("lao_Laoo", "ກ", "ກາກະກຳກຽກ", "ກາກະກຳກຽ[ກ]"),
        ("tha_Thai", "กา ก ตา น้ำตา", "เกาก็กาตากน้ำตา", "เกาก็[กา][ตา][ก][น้ำตา]"),
        ("lao_Laoo", "ມ ກາ", "ເມມກາເກາ", "ເມ[ມ][ກາ]ເກາ"),
        ("mya_Mymr", "မ မြ မန် က", "မြန်မာမကကာ", "မြန်မာ[မ][က]ကာ"),
        ("mya_Mymr", "မ တက် က", "မန္တလေးတက္ကတက်", "မန္တလေးတက္က[တက်]"),
        ("shn_Mymr", "တႆး ၵ", "မိူင်းတႆးၵဝ်ၵ", "မိူင်း[တႆး]ၵဝ်[ၵ]"),
        ("khm_Khmr", "ម រ ខ", "ខ្មរខ", "ខ្ម[រ][ខ]"),
        ("bod_Tibt", "བོད ང བོད་ཡིག", "བོད་ཡིག་ངས་བོད་ང།", "[བོད་ཡིག་]ངས་[བོད་][ང]།"),
        ("dzo_Tibt", "ཁྱིམ༌ནང་", "ང་ཁྱིམ་ནང༌།", "ང་[ཁྱིམ་ནང༌]།"),
    ],
)
def test_the_longest_entry_matches_and_no_piece_is_torn(
    source: str, words: str, text: str, pieces: str, made: Made
) -> None:
    """In brackets what is switched; 字 takes its place, for that needs no space."""
    found = switch(text, made(*((word, "字") for word in words.split())), 1, 0, "row", resolve(source))
    outside = [part.split("]")[-1] for part in pieces.split("[")]
    assert "[" + found.text.replace("字", "[") == "[" + "[".join(outside)
    assert found.switched == found.known == pieces.count("[")


def test_how_words_are_counted_without_spaces(made: Made) -> None:
    dictionary = made(("北京大学", "Peking University"), ("བོད་ཡིག", "Tibetan"))
    assert switch("我在北京大学，上午3点。OK", dictionary, 1, 0, "row", resolve("zho_Hans")) == Switched(
        "我在 Peking University，上午3点。OK", words=7, known=1, switched=1
    )
    assert switch("ང་བོད་ཡིག་ཀློག་གི་ཡོད།", dictionary, 1, 0, "row", resolve("bod_Tibt")) == Switched(
        "ང་ Tibetan ཀློག་གི་ཡོད།", words=5, known=1, switched=1
    )


def test_a_language_with_spaces_has_words_in_any_script(made: Made) -> None:
    spaced = declare("qaa_Thai", "Spaced")
    assert switch("กา กาตา", made(("กา", "x")), 1, 0, "row", spaced) == Switched("x กาตา", 2, 1, 1)


@pytest.mark.parametrize(
    ("source", "text", "switched"),
    [
        ("yue_Hant", "我鍾意狗。", "我 like dog。"),
        ("yue_Hant", "狗鍾意 狗\n狗", "dog like dog\ndog"),
        ("yue_Hant", "有3狗，50%狗「狗」", "有3 dog，50% dog「dog」"),
        ("yue_Hant", "OK狗OK{x}狗`y`狗<b>狗</b>", "OK dog OK{x} dog `y` dog<b>dog</b>"),
        ("yue_Hant", "我OK喎", "我OK喎"),
        ("yue_Hant", "我貓喎3貓", "我犬喎3犬"),
        ("yue_Hant", "睇https://a.b/狗。狗", "睇https://a.b/ dog。dog"),
        ("tha_Thai", "ฉันชอบหมา", "ฉัน like หมา"),
        ("khm_Khmr", "ក\u200bខ\u200bគ", "ក\u200b kha \u200bគ"),
        ("bod_Tibt", "ང་བོད་ང།", "ང་ Tibet ང།"),
        ("eng_Latn", "I like cats, (cats) 3cats cats.", "I 中意 猫, (猫) 3cats 猫."),
    ],
)
def test_a_space_where_a_word_would_run_into_another(source: str, text: str, switched: str, made: Made) -> None:
    dictionary = made(
        *(("鍾意", "like"), ("狗", "dog"), ("貓", "犬"), ("ชอบ", "like"), ("ខ", "kha"), ("བོད", "Tibet")),
        *(("like", "中意"), ("cats", "猫")),
    )
    assert all_switched(text, dictionary, resolve(source)) == switched


needs_data = pytest.mark.skipif(
    "XLNU_REAL_DATA" not in os.environ, reason="XLNU_REAL_DATA names no folder of real data"
)
CANTONESE = [
    "你可唔可以用簡單嘅句子解釋下點解天空係藍色？",
    "我今日鍾意食蘋果，但係我嘅朋友鍾意飲水。",
    "請列出3種健康嘅食物，並且講下原因：https://a.b/c?d=1。多謝！",
    "用Python寫一個function，計算{number}嘅平方。",
    "我有2隻狗同三隻貓，佢哋好得意。",
    "幫我寫封電郵畀老細：\n1. 話我病咗\n2. 聽日唔返工",
    "「時間就係金錢」呢句說話係咩意思？",
    "比較城市同鄉村嘅生活，邊樣好啲？",
]


def gatitos(name: str, folder: Path) -> Dictionary:
    with tarfile.open(Path(os.environ["XLNU_REAL_DATA"], "gatitos/all_languages.tar.xz")) as archive:
        archive.extract(f"gatitos/{name}.tsv", folder, filter="data")
    return read(f"{folder}/gatitos/{name}.tsv")


@needs_data
@pytest.mark.parametrize("name", ["en_es", "en_ln", "en_hi", "en_ti", "en_yue", "en_ar-MA"])
def test_real_instructions_are_switched_at_the_rate_that_is_asked_for(name: str, tmp_path: Path) -> None:
    dictionary = gatitos(name, tmp_path)
    folder = Path(os.environ["XLNU_REAL_DATA"], "instructions")
    records = json.loads((folder / "llms_from_scratch_instruction-data.json").read_text())
    records += map(json.loads, (folder / "self_instruct_seed_tasks.jsonl").read_text().splitlines())
    texts = [record["instruction"] for record in records]
    assert len(texts) == 1275

    def switched_at(p: float) -> list[Switched]:
        return [switch(text, dictionary, p, 1, f"{name} {i}", ENGLISH) for i, text in enumerate(texts)]

    assert [row.text for row in switched_at(0)] == texts
    every = switched_at(1)
    known = sum(row.known for row in every)
    assert [row.switched for row in every] == [row.known for row in every]
    assert known > 0.6 * sum(row.words for row in every)
    for p in (0.15, 0.5):
        rows = switched_at(p)
        assert [(row.words, row.known) for row in rows] == [(row.words, row.known) for row in every]
        assert abs(sum(row.switched for row in rows) - p * known) < 4 * math.sqrt(known * p * (1 - p))


@needs_data
def test_real_cantonese_becomes_english(tmp_path: Path) -> None:
    dictionary, cantonese = gatitos("yue_en", tmp_path), resolve("yue_Hant")
    rows = [switch(text, dictionary, 1, 1, str(i), cantonese) for i, text in enumerate(CANTONESE)]
    assert rows[4].text.startswith("I h")  # 我有: "I have" or "I had"
    assert rows[4].text.endswith("。")
    assert "https://a.b/c?d=1。" in rows[2].text
    assert "{number} of 平方。" in rows[3].text
    assert all(row.switched == row.known > 0.3 * row.words for row in rows)
    drawn = [switch(t, dictionary, 0.15, seed, t, cantonese) for t in CANTONESE for seed in range(200)]
    known = sum(row.known for row in drawn)
    assert abs(sum(row.switched for row in drawn) - 0.15 * known) < 4 * math.sqrt(known * 0.15 * 0.85)
