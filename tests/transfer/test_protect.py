import random
import re

import pytest

from xlnu.transfer.protect import Protected, fragments, protect, restore

ELEMENTS = {
    "See https://en.wikipedia.org/wiki/C_(language).": ["https://en.wikipedia.org/wiki/C_(language)"],
    "Go to (http://a.org/b?c=d&e#f), or www.a.org!": ["http://a.org/b?c=d&e#f", "www.a.org"],
    "**https://a.org** is it": ["https://a.org"],
    "https://a.jpを見て": ["https://a.jp"],
    "Ask a.b+c@d-e.co.uk.": ["a.b+c@d-e.co.uk"],
    "Use `a b`, ``c ` d`` and ` alone": ["`a b`", "``c ` d``"],
    "Hi {name}, {{ x.y }} {0} ${y} {% if z %} {'a': 1}": [
        *("{name}", "{{ x.y }}", "{0}", "${y}", "{% if z %}", "{'a': 1}"),
    ],
    "%s and %(x)d, %5.2f": ["%s", "%(x)d", "%5.2f"],
    "Dear <NAME> of [YOUR CITY], [/INST] <|end|>": ["<NAME>", "[YOUR CITY]", "[/INST]", "<|end|>"],
    "The __BLANK__ is ___.": ["__BLANK__", "___"],
    "A <b>red</b>&nbsp;<br/> <a href='x y'>car</a> <!-- no -->": [
        *("<b>", "</b>", "&nbsp;", "<br/>", "<a href='x y'>", "</a>", "<!-- no -->"),
    ],
    r"If $x^2$ and $n$ or \(a + b\), \frac{a}{b}": ["$x^2$", "$n$", r"\(a + b\)", r"\frac{a}{b}"],
    "Read [the docs](http://a.org/b_(c)) ![a picture](b.png)": [
        *("[", "](http://a.org/b_(c))", "![a picture](b.png)"),
    ],
    "Edit src/main.py, /usr/bin, ~/x, C:\\Users\\x and README.md": [
        *("src/main.py", "/usr/bin", "~/x", "C:\\Users\\x", "README.md"),
    ],
    'Call foo_bar or getX() or np.array or print("x") or f(x)': [
        *("foo_bar", "getX()", "np.array", 'print("x")', "f(x)"),
    ],
    "Let newDate be": ["newDate"],
    "Let it be f(x) then": ["f(x)"],
    "Press 1\ufe0f\u20e3 now": ["1\ufe0f\u20e3"],
    "@me and #tag and #日本": ["@me", "#tag", "#日本"],
    "Good 👍🏽 👨\u200d👩\u200d👧 🇩🇪 1\ufe0f\u20e3 → ✓": [
        *("👍🏽", "👨\u200d👩\u200d👧", "🇩🇪", "1\ufe0f\u20e3", "→", "✓"),
    ],
    "Sort [3, 1, 2] and {1, 2}": ["[3, 1, 2]", "{1, 2}"],
}
PROSE = [
    "It costs $5 and $10, or $5-$10, or US$5.",
    "Pay $5 for it or 5$ there",
    "He said and/or she did 50% discounts at 5 km/h, 100%.",
    "The pH, e.g. of an iPhone in the U.S.A., i.e. at 3.5 p.m.",
    "All item(s), a < b and c > d, (x) [note] <your name here>",
    "**Bold** and *slanted* and _under_ and C# and AT&T & 1/2",
    "Ends here.The next one",
]


@pytest.mark.parametrize("sentence", ELEMENTS)
def test_elements_are_found_and_come_back(sentence: str) -> None:
    protected = protect(sentence)
    assert list(protected.elements) == ELEMENTS[sentence]
    assert not [element for element in protected.elements if element in protected.text and len(element) > 1]
    assert restore(protected.text, protected) == sentence
    pieces = fragments(sentence)
    assert "".join(pieces) == sentence
    assert not [e for e in protected.elements for piece in pieces[1::2] if len(e) > 1 and e in piece]


@pytest.mark.parametrize("sentence", PROSE)
def test_prose_is_left_alone(sentence: str) -> None:
    assert protect(sentence) == Protected(sentence)
    assert fragments(sentence) == ["", sentence, ""]


def test_every_sentence_comes_back() -> None:
    rng = random.Random(3)
    bits = [*" .,x5१X", "X1", "x 2", "Х3", "word", "語", "<b>", "</b>", "[a](b)", "](", "[", "`c`", "{d}", "{", "$"]
    bits += ["$x$", "👍", "&amp;", "\xa0", "é", "http://a.b", "__", "a_b", "@a", "#", "f(x)", "\\", "/a", "٣", "½"]
    for _ in range(20_000):
        sentence = "".join(rng.choices(bits, k=rng.randrange(12)))
        protected = protect(sentence)
        assert restore(protected.text, protected) == sentence
        pieces = fragments(sentence)
        assert "".join(pieces) == sentence
        assert len(pieces) % 2 == 1
        assert all(any(map(str.isalpha, piece)) for piece in pieces[1::2])


def test_a_placeholder_is_not_in_the_sentence_already() -> None:
    protected = protect("Put `a` in X1 or x 2")
    assert protected.text == "Put XX1 in X1 or x 2"
    assert restore("X1 या x 2 में XX1", protected) == "X1 या x 2 में `a`"


def test_what_models_do_to_placeholders_is_borne() -> None:
    protected = protect("Put `a` into `b` by 10")
    assert protected.text == "Put X1 into X2 by 10"
    for translation in ["b X2 a X1.", "x2, x1", "X 2 X 1", "X२ में X१", "Х٢ و x ١", "Х2, Х1"]:
        expected = re.sub("[XxХ] ?[1१١]", "`a`", re.sub("[XxХ] ?[2२٢]", "`b`", translation))
        assert restore(translation, protected) == expected


@pytest.mark.parametrize(
    "translation", ["X1", "X1 X1 X2", "X1 X3", "X1 X2 X3", "1 2", "X12", "XX1 X2", "Y1 X2", "X1 2", ""]
)
def test_a_lost_doubled_or_mangled_placeholder_is_told(translation: str) -> None:
    assert restore(translation, protect("Put `a` into `b`")) is None


def test_tags_must_keep_their_order_and_names_need_not() -> None:
    protected = protect("Press <b>red</b> and `go`")
    assert protected.text == "Press X1 red X2 and X3"
    assert restore("X3 und X1 rot X2", protected) == "`go` und <b>rot</b>"
    assert restore("X2 und X1 rot X3", protected) is None


def test_words_glued_to_elements_are_freed_for_the_model_and_glued_again() -> None:
    protected = protect("<b>Note</b>: {n}5 of 日本`c`語")
    assert protected.text == "X1 Note X2: X3 5 of 日本X4語"
    assert restore("X1 Nota X2: X3 5 de X4", protected) == "<b>Nota</b>: {n}5 de `c`"
    assert restore("X1Nota X2: X3 5 de X4", protected) == "<b>Nota</b>: {n}5 de `c`"


def test_fragments_are_the_words_between() -> None:
    assert fragments("See `a` (or {b}), then 5 <i>go</i>!") == [
        *("", "See", " `a` ", "(or", " {b}), ", "then 5", " <i>", "go", "</i>!"),
    ]
    assert fragments("`a` 5 {b}") == ["`a` 5 {b}"]
