"""A report with something of everything, of as many languages and seeds as are asked for."""

import dataclasses
import math
import random
from typing import Any, cast

from xlnu.languages import all_languages
from xlnu.report.document import (
    Average,
    Claim,
    Comparison,
    Finding,
    Machines,
    Mode,
    Plot,
    Report,
    Resource,
    Sample,
    Score,
    Series,
    StepLine,
)

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
ARABIC, HEBREW = "ما هي عاصمة كينيا؟ نيروبي", "מהי בירת קניה?"
SIGNATURE = "nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.4.3"
LONG = "wahrscheinlichkeitsverteilungsfunktionsapproximation" * 3
SYSTEMS: dict[str, list[tuple[Mode, str | None, str | None]]] = {
    "translation": [
        ("before", None, None),
        ("sdrrl", "hard", None),
        ("sdrrl", "taid", None),
        ("sft", "hard", None),
    ],
    "topic": [("stacked", "mlp", None), ("translate_test", None, None), ("majority", None, None)],
}
METRICS = {"translation": ("chrf_from_source", "bleu_from_source", "off_target"), "topic": ("accuracy", "macro_f1")}


def rich(languages: int = 8, seeds: int = 1, seed: int = 0) -> Report:
    chance = random.Random(seed)
    known = [one for one in all_languages() if one.flores]
    codes = ["eng_Latn", *(one.code for one in known if one.code != "eng_Latn")][:languages]
    codes[1:2] = ["mad->jav_Latn"]
    targets: tuple[Resource, ...] = ("high", "mid", "low")
    levels: list[Resource] = ["source", *(targets[number % 3] for number in range(languages - 1))]
    scores = [
        _score(chance, task, metric, code, level, system, number, drawn)
        for task, systems in SYSTEMS.items()
        for metric in METRICS[task]
        for number, system in enumerate(systems)
        for code, level in zip(codes, levels, strict=True)
        for drawn in (range(seeds) if system[0] not in ("before", "majority") else [None])
    ]
    groups = ["all targets", "resource: high", "resource: mid", "resource: low", "encoder: seen", "encoder: unseen"]
    groups += [f"script: {name}" for name in ("Arabic", "Cyrillic", "Latin", "Ol Chiki")]
    groups += [f"family: {name}" for name in ("Afro-Asiatic", "Atlantic-Congo", "Indo-European", "Sino-Tibetan")]
    return Report(
        job="demo",
        settings={"languages": codes, "tau": 0.8, "run.price": 12.5, "limit": None, EVIL: [EVIL], "name": LONG},
        versions={"xlnu": "0.1.0", "torch": "2.13.0", "ray": "2.50"},
        steps=_steps(codes),
        scores=scores,
        claims=_claims(),
        averages=[
            _average(chance, task, metric, system, group)
            for task, systems in SYSTEMS.items()
            for metric in METRICS[task]
            for system in systems
            for group in groups
            if not (system[0] == "sft" and group == "resource: low")
        ],
        comparisons=[
            _comparison(chance, task, metric, one, other, group)
            for task, metric in (("translation", "chrf_from_source"), ("topic", "accuracy"))
            for number, one in enumerate(SYSTEMS[task])
            for other in SYSTEMS[task][number + 1 :]
            for group in groups
        ],
        plots=_plots(chance, codes),
        samples=_samples(),
        findings=[
            Finding("languages", "flores swh_Latn", "12 % of answers are in another language than asked", False),
            Finding("one answer", f"sib200 {EVIL}", "every answer is 'politics'", True),
            Finding("contamination", "belebele.zip", f"3 questions stand in the training data: {ARABIC}", True),
        ],
        machines=[
            Machines("translator", "g6.xlarge", True, 32, 61.25, 4.5, 22.05, "USD"),
            Machines(EVIL, "", False, 1, 3.0, 3.0, None, ""),
        ],
    )


def hostile(value: Any) -> Any:
    """The same with every free text an attack."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        free = [field.name for field in dataclasses.fields(value) if field.name not in ("seen", "resource", "mode")]
        made = {name: EVIL if name == "model" else hostile(getattr(value, name)) for name in free}
        return dataclasses.replace(value, **made)
    if isinstance(value, dict):
        return {f"{EVIL} {number}": hostile(one) for number, one in enumerate(value.values())}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return EVIL if isinstance(value, str) else value


def _score(
    chance: random.Random,
    task: str,
    metric: str,
    code: str,
    level: Resource,
    system: tuple[Mode, str | None, str | None],
    number: int,
    seed: int | None,
) -> Score:
    mode, objective, model = system
    most = 100 if metric[:4] in ("chrf", "bleu") else 1
    base = {"source": 0.9, "high": 0.7, "mid": 0.55, "low": 0.35}[level] - 0.12 * (mode in ("before", "majority"))
    value = min(0.97, max(0.02, base - 0.04 * number + chance.gauss(0, 0.07)))
    if metric == "off_target":
        value = (1 - value) / 3
    half = 0.02 + 0.04 * chance.random()
    note = "only one class was ever answered" if mode == "majority" and level == "low" else ""
    return Score(
        benchmark="flores" if task == "translation" else "sib200",
        task=task,
        language=code,
        seen="source" if level == "source" else "target",
        resource=level,
        mode=mode,
        objective=objective,
        model=model,
        metric=metric,
        value=round(most * value, 4),
        n=204 if task == "topic" else 1012,
        ci_low=round(most * max(0, value - half), 4),
        ci_high=round(most * min(1, value + half), 4),
        seed=seed,
        signature=SIGNATURE if metric.startswith("chrf") else "",
        address=f"scored-{code.lower()}-0a1b",
        note=note,
    )


def _average(
    chance: random.Random, task: str, metric: str, system: tuple[Mode, str | None, str | None], group: str
) -> Average:
    most = 100 if metric[:4] in ("chrf", "bleu") else 1
    value = most * (0.3 + chance.random() / 2)
    return Average(
        "flores" if task == "translation" else "sib200", task, metric, *system, group, 7, round(value, 4), 1012,
        round(value * 0.9, 4), round(value * 1.1, 4), [0],
    )  # fmt: skip


def _comparison(chance: random.Random, task: str, metric: str, one: Any, other: Any, group: str) -> Comparison:
    most = 100 if metric[:4] in ("chrf", "bleu") else 1
    middle, half = most * chance.gauss(0.02, 0.05), most * (0.01 + 0.03 * chance.random())
    names = [" ".join(filter(None, (s[2], s[0], f"({s[1]})" if s[1] else ""))) for s in (one, other)]
    return Comparison(
        "flores" if task == "translation" else "sib200", task, metric, group, names[0], names[1], round(middle, 4),
        round(middle - half, 4), round(middle + half, 4), 1012, 7,
    )  # fmt: skip


def _claims() -> list[Claim]:
    verdicts = [True, False, None]
    found = [
        Claim("After SDRRL, questions in the target languages are answered better.", "SDRRL, table 1", True,
              "exact match: a difference of +0.196 (+0.166 to +0.228; 162 examples)"),
        Claim(f"SDRRL keeps the source language. {EVIL}", EVIL, False, f"{EVIL} {LONG}"),
    ]  # fmt: skip
    for number, other in enumerate(
        ("translating the test", "the LLM alone", "the encoder alone", "another encoder")
    ):
        for level in ("all target", "high-resource", "mid-resource", "low-resource"):
            text = f"Topic, {level} languages: the stack is better than {other}."
            found.append(
                Claim(text, "MT-LLM (arXiv 2406.12739)", verdicts[number % 3], "accuracy: +0.05; 240 examples")
            )
    return found


def _plots(chance: random.Random, codes: list[str]) -> list[Plot]:
    loss: list[list[float | None]] = [
        [float(step), 4 * math.exp(-step / 900) + 0.4 + chance.gauss(0, 0.05), None, None]
        for step in range(1, 3000)
    ]
    falling = [[t / 20, 1 - (t / 20) ** 2, 0.95 - (t / 20) ** 2, 1.03 - (t / 20) ** 2] for t in range(20)]
    layers = [[float(n), 0.2 + n / 40, 0.15 + n / 40, 0.25 + n / 40] for n in range(24)]
    hole: list[list[float | None]] = [[1.0, 0.1, None, None], [None, None, None, None], [3.0, 0.3, 0.2, 0.4]]
    pairs = cast("list[list[float | None]]", falling)
    lines = cast("list[list[float | None]]", layers)
    return [
        Plot("Training", "Loss of sdrrl", "step", "loss (nats a token)", [Series("seed 0", loss)], "train-01"),
        Plot("Training", "Learning rate", "step", "learning rate",
             [Series("lr", [[float(n), 2e-5 * min(1, n / 50), None, None] for n in range(1, 100)])]),
        Plot("Filter", "What survives tau", "tau (COMETKiwi)", "share of rows",
             [Series(code, pairs[: 20 - n]) for n, code in enumerate(codes[:5])]),
        Plot("Alignment", "By layer", "layer", "cosine", [Series("before", lines), Series("after", hole)]),
        Plot("Alignment", EVIL, EVIL, EVIL, [Series(EVIL, hole)], EVIL),
        Plot("Cost", "Tokens and time", "tokens", "seconds",
             [Series("ct2", [[10.0**n, 2.0**n * 1000, None, None] for n in range(2, 9)])]),
    ]  # fmt: skip


def _samples() -> list[Sample]:
    made = []
    for number in range(12):
        question = (ARABIC, HEBREW, "Mji mkuu wa Kenya ni upi?", EVIL)[number % 4] + f" {number}"
        language = ("arb_Arab", "heb_Hebr", "swh_Latn", "eng_Latn")[number % 4]
        for mode, said in (("before", LONG if number == 1 else "Nairobi"), ("sdrrl", "نيروبي" if number else EVIL)):
            made.append(
                Sample("mkqa", "qa", language, cast("Mode", mode), None, question, "نيروبي", said,
                       None if number == 3 else mode == "sdrrl")
            )  # fmt: skip
    return made


def _steps(codes: list[str]) -> list[StepLine]:
    return [
        StepLine("questions", "questions-a5cf", 4096, 4000, {"empty": 60, "too long": 36}, 0.06, True),
        *(
            StepLine(
                f"translated_{code.lower()}",
                f"translated_{code.lower()}-11",
                800,
                790,
                {"cut off": 10},
                61.5,
                n > 3,
            )
            for n, code in enumerate(codes[1:])
        ),
        StepLine("train", "train-77", 9000, 9000, {}, 1250.0, False),
        StepLine(EVIL, EVIL, 2, 1, {EVIL: 1}, 3.0, False),
    ]
