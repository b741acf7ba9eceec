"""What the paper says of the stack, held against what was measured: over all target languages, and over those of
much, some and little text apart. The numbers decide, example by example; but of two that are no better than
guessing, neither is the better.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xlnu.evaluate.measured import Measured, difference
from xlnu.report.document import Claim, Mode, Resource

PAPER = "MT-LLM (arXiv 2406.12739); measure and threshold are ours"
TRANS_ALIGN = "TransAlign (arXiv 2510.27337); measure and threshold are ours"
OURS = "xlnu"
FEWEST = 30  # examples: below that an interval of what was drawn again proves nothing


@dataclass(frozen=True)
class _Rule:
    claim: str
    other: Mode
    one: Mode = "stacked"
    source: str = PAPER


_BOTH: tuple[Mode, str] = ("ensemble", TRANS_ALIGN)
_ROUTED: tuple[Mode, str] = ("router", OURS)
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
    _Rule(
        "choosing between the stack and translate-test by how sure both are is better than the former",
        "stacked",
        *_ROUTED,
    ),
    _Rule(
        "choosing between the stack and translate-test by how sure both are is better than the latter",
        "translate_test",
        *_ROUTED,
    ),
)
GUESS: Mode = "majority"
LEVELS: tuple[Resource | None, ...] = (None, "high", "mid", "low")


def claims(measured: Sequence[Measured]) -> list[Claim]:
    found = list[Claim]()
    for task in dict.fromkeys(one.task for one in measured):
        some = [one for one in measured if one.task == task and one.is_main and one.seen == "target"]
        first = next((one.system.objective for one in some if one.system.mode == "stacked"), None)
        some = [one for one in some if one.system.objective in (None, first)]
        for rule in _RULES:
            for level in LEVELS:
                found += _of(task, rule, level, [one for one in some if level in (None, _level(one))])
    return found


def _level(one: Measured) -> Resource:
    return one.known.resources[one.language]


def _of(task: str, rule: _Rule, level: Resource | None, some: Sequence[Measured]) -> Iterator[Claim]:
    one, other, majority = (
        [each for each in some if each.system.mode == mode] for mode in (rule.one, rule.other, GUESS)
    )
    made = difference(one, other)
    if made is None:
        return
    found, _ = made
    where = "all target languages" if level is None else f"{level}-resource languages"
    holds = None if found.n < FEWEST else True if found.low > 0 else False if found.high < 0 else None
    metric = one[0].metric.replace("_", " ")
    spread = f"{found.low:+.3g} to {found.high:+.3g}"
    evidence = f"{metric}: a difference of {found.mean:+.3g} ({spread}; {found.n:,} examples)"
    if holds is not None and not any(_reads(side, majority) for side in (one, other)):
        holds = None
        evidence += "; but neither is better than always the commonest answer"
    text = f"{task}, {where}: {rule.claim}."
    yield Claim(text[0].upper() + text[1:], rule.source, holds, evidence)


def _reads(some: Sequence[Measured], majority: Sequence[Measured]) -> bool:
    """Whether it is better than who answers without reading."""
    found = difference(some, majority)
    return found is not None and found[0].low > 0
