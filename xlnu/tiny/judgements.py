"""What the tiny COMETKiwi learns from: translations good and bad, and how good each is."""

import random
from collections.abc import Callable, Sequence

from xlnu.tiny.qe import Judged
from xlnu.tiny.tongues import SOURCE
from xlnu.tiny.world import Text, World

Translate = Callable[[Sequence[str], str, str], list[str]]  # texts, from, to


def judgements(world: World, what: str, n: int, translate: Translate, say: Callable[[], Text]) -> list[Judged]:
    """Of texts that `say` gives: a third as they should be, a third spoilt, a third by the translation model."""
    rng = world.rng(f"judgements {what}")
    asked: list[tuple[str, str, str, str]] = []  # from, to, text, reference
    for _ in range(n):
        tongue, text = rng.choice(world.tongues).code, say()
        # mostly out of the source language, as SDRRL needs it; into it a lost article, which half of the made
        # languages do not have, cannot be seen
        ends = (SOURCE, tongue) if rng.random() < 0.85 else (tongue, SOURCE)
        asked.append((*ends, world.say(text, ends[0]), world.say(text, ends[1])))
    found: list[Judged | None] = [None] * n
    machine: dict[tuple[str, str], list[int]] = {}
    for i, (begin, end, said, reference) in enumerate(asked):
        if i % 3 == 0:
            found[i] = Judged(said, reference, 1.0)
        elif i % 3 == 1:
            other = rng.choice([each for each in asked if each[1] == end])[3]
            bad = spoil(said, reference, other, rng)
            found[i] = Judged(said, bad, closeness(bad, reference))
        else:
            machine.setdefault((begin, end), []).append(i)
    for (begin, end), places in machine.items():
        for i, output in zip(places, translate([asked[i][2] for i in places], begin, end), strict=True):
            found[i] = Judged(asked[i][2], output, closeness(output, asked[i][3]))
    return [each for each in found if each is not None]


def spoil(text: str, good: str, other: str, rng: random.Random) -> str:
    """Words lost, wrong or said again; nothing translated; or something else altogether.

    Not put in disorder: a metric this small is blind to order (AUC .5 after any training tried), and examples it
    cannot tell apart pull down its scores of good ones (29 % of them fell below 0.8, without them 9 to 13 %).
    """
    words, others = good.split(), other.split()
    how = rng.choice(("lose", "lose", "wrong", "wrong", "again", "copy", "else"))
    if how == "lose" and len(words) > 1:
        del words[rng.randrange(len(words))]
    elif how == "wrong":
        for at in rng.sample(range(len(words)), rng.randint(1, max(1, len(words) // 2))):
            words[at] = rng.choice(others)
    elif how == "again":
        at = rng.randrange(len(words))
        words[at:at] = [words[at]] * rng.randint(1, 3)
    elif how == "copy":
        words = text.split()
    else:
        words = others
    return " ".join(words)


def closeness(translation: str, reference: str) -> float:
    """1 for the reference itself, falling fast: one wrong word in five makes .64, below the usual 0.8."""
    one, other = translation.split(), reference.split()
    row = list(range(len(other) + 1))
    for i, word in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, there in enumerate(other, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != there))
    return max(0.0, 1 - row[-1] / max(1, len(other))) ** 2
