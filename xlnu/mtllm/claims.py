"""What the paper says of the stack, held against what was measured: over all target languages, and over those of
much, some and little text apart. The numbers decide, example by example; but of two that are no better than
guessing, neither is the better.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xlnu.evaluate.statistics import Examples, Interval, interval
from xlnu.mtllm.scores import Said
from xlnu.report.document import Claim, Mode, Resource

PAPER = "MT-LLM (arXiv 2406.12739); measure and threshold are ours"
TRANS_ALIGN = "TransAlign (arXiv 2510.27337); measure and threshold are ours"
FEWEST = 30  # examples: below that an interval of what was drawn again proves nothing


@dataclass(frozen=True)
class _Rule:
    claim: str
    other: Mode
    one: Mode = "stacked"
    source: str = PAPER


_BOTH: tuple[Mode, str] = ("ensemble", TRANS_ALIGN)
_RULES = (
    _Rule("the stack is better than translating the test with the same model (translate-test)", "translate_test"),
    _Rule("the stack is better than the LLM alone", "zero_shot"),
    _Rule("the stack is better than the encoder alone", "encoder"),
    _Rule("the stack is better than an LLM tuned on translated training data (translate-train)", "translate_train"),
    _Rule("the stack is better than an encoder of XLM-R's kind", "multilingual"),
    _Rule("distilling the teacher (stage 2) is better than labels after stage 1", "stage1_labels"),
    _Rule("stage 1 helps: stage 2 alone is worse", "stage2_only"),
    _Rule("translate-train and translate-test together are better than the former", "translate_train", *_BOTH),
    _Rule("translate-train and translate-test together are better than the latter", "translate_test", *_BOTH),
)
_Worth = Mapping[str, Examples]
LEVELS: tuple[Resource | None, ...] = (None, "high", "mid", "low")


def claims(said: Sequence[Said]) -> list[Claim]:
    found = list[Claim]()
    for task in dict.fromkeys(one.task for one in said):
        some = [one for one in said if one.task == task]
        first = next((one.variant for one in some if one.mode == "stacked"), None)
        some = [one for one in some if one.variant in (None, first)]
        for rule in _RULES:
            sides = ([one for one in some if one.mode == mode] for mode in (rule.one, rule.other))
            found += _of(task, rule, *sides)
    return found


def _of(task: str, rule: _Rule, one: Sequence[Said], other: Sequence[Said]) -> Iterator[Claim]:
    for level in LEVELS:
        found = difference(one, other, level)
        if found is None:
            continue
        where = "all target languages" if level is None else f"{level}-resource languages"
        holds = None if found.n < FEWEST else True if found.low > 0 else False if found.high < 0 else None
        metric = one[0].metric.replace("_", " ")
        spread = f"{found.low:+.3g} to {found.high:+.3g}"
        evidence = f"{metric}: a difference of {found.mean:+.3g} ({spread}; {found.n:,} examples)"
        if holds is not None and not any(_reads(some, level) for some in (one, other)):
            holds = None
            evidence += "; but neither is better than always the commonest answer"
        text = f"{task}, {where}: {rule.claim}."
        yield Claim(text[0].upper() + text[1:], rule.source, holds, evidence)


def difference(one: Sequence[Said], other: Sequence[Said], level: Resource | None) -> Interval | None:
    """How much better, over the target languages of a level; None where they share nothing."""
    pairs = [(mine, mine.values, theirs.values) for mine in one for theirs in other if theirs.seed == mine.seed]
    return _over(pairs, level)


def _reads(some: Sequence[Said], level: Resource | None) -> bool:
    """Whether it is better than who answers without reading."""
    found = _over([(each, each.values, each.guessed) for each in some], level)
    return found is not None and found.low > 0


def _over(pairs: Sequence[tuple[Said, _Worth, _Worth]], level: Resource | None) -> Interval | None:
    runs = []
    for said, a, b in pairs:
        sign = -1 if said.kind == "regression" else 1  # of an error, less is better
        labels = [
            label
            for label in a
            if label in b and label != said.source.label and level in (None, said.resources[label])
        ]
        if labels:
            runs.append([{key: sign * (a[label][key] - b[label][key]) for key in a[label]} for label in labels])
    return interval(runs) if runs else None
