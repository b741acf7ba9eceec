"""README.md of a transfer set: what Hugging Face reads of it (the YAML on top), and what people should know.

The YAML names the splits, so that `datasets.load_dataset(folder)` gives train and held_out. What was rejected lies
beside them, and without the YAML would be a part of train.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import yaml

from xlnu import __version__
from xlnu.config import shown
from xlnu.languages import Language
from xlnu.markdown import code, table, text
from xlnu.transfer.families import FamiliesConfig


@dataclass(frozen=True)
class Switching:
    """How much of the questions was switched: to p it comes only where the dictionary knows every word."""

    p: float
    words: int
    known: int
    switched: int


@dataclass(frozen=True)
class Facts:
    """What the card tells. Every `language` is a label; what is not known is left out."""

    title: str
    source: Language
    targets: Sequence[Language]
    counts: Mapping[tuple[str, str], tuple[int, int]]  # (language, family): rows of train, of held_out
    rejected: Mapping[str, int] = field(default_factory=dict)  # by reason
    survival: Mapping[str, Mapping[float, float]] = field(default_factory=dict)  # language: tau: share that stays
    switching: Mapping[str, Switching] = field(default_factory=dict)  # by language
    dictionaries: Mapping[str, str] = field(default_factory=dict)  # by language; "none" where there is none
    gates: Mapping[str, str] = field(default_factory=dict)  # by language: what gave the scores
    engines: Mapping[str, str] = field(default_factory=dict)  # llm, translator, scorer: name and content hash
    licences: Mapping[str, str] = field(default_factory=dict)  # of what the set was made from
    settings: Mapping[str, Any] = field(default_factory=dict)


def card(facts: Facts) -> bytes:
    about = yaml.safe_dump(_metadata(facts), sort_keys=False, allow_unicode=True, width=1000)
    parts = [
        f"---\n{about}---",
        f"# {text(facts.title)}",
        _introduction(facts),
        _languages(facts),
        _rows(facts),
        *_others(facts),
    ]
    return ("\n\n".join(parts) + f"\n\nMade by xlnu {__version__}.\n").encode()


def _metadata(facts: Facts) -> dict[str, Any]:
    codes = dict.fromkeys(language.iso1 or language.iso3 for language in (facts.source, *facts.targets))
    totals = {
        "train": sum(n for n, _ in facts.counts.values()),
        "held_out": sum(n for _, n in facts.counts.values()),
    }
    # A split without a file is an error to load_dataset.
    splits = [{"split": split, "path": f"{split}/*.parquet"} for split, rows in totals.items() if rows]
    return {
        "pretty_name": facts.title,
        "language": list(codes),
        "multilinguality": ["translation"],
        "license": "other",  # that of its parents, which the Hub has no word for
        "license_name": "licences-of-its-sources",
        "task_categories": ["text-generation", "translation"],
        "size_categories": [_size(sum(totals.values()))],
        "tags": ["instruction-tuning", "self-distillation", "cross-lingual", "synthetic"],
        "configs": [{"config_name": "default", "data_files": splits}],
    }


def _size(rows: int) -> str:
    steps = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    place = sum(rows >= 10 ** (3 + step) for step in range(len(steps)))
    if place == 0:
        return "n<1K"
    return "n>1T" if place == len(steps) else f"{steps[place - 1]}<n<{steps[place]}"


def _introduction(facts: Facts) -> str:
    into = f"{len(facts.targets)} languages" if len(facts.targets) > 1 else text(facts.targets[0].name)
    return (
        f"Instructions in {text(facts.source.name)} with the answers that a language model gave itself, "
        f"translated into {into}: for the same model to learn from (self-distillation from resource-rich "
        "languages, [arXiv 2402.12204](https://arxiv.org/abs/2402.12204)).\n\n"
        "```python\n"
        "from datasets import load_dataset\n\n"
        'rows = load_dataset("path/to/this/folder")  # the splits train and held_out\n'
        "```\n\n"
        "All rows made from one instruction are in the same split. Rows that were rejected are in `rejected/`, and "
        "say why; they are in no split."
    )


def _languages(facts: Facts) -> str:
    rows = []
    for language in facts.targets:
        label = language.label
        known = (facts.gates.get(label, "–"), facts.dictionaries.get(label, "–"))
        rows.append([code(label), *map(text, (language.name, *known)), *_switching(facts.switching.get(label))])
    return (
        f"## Languages\n\nThe source language is {text(facts.source.name)}. Where a dictionary is named, words of "
        "questions were replaced, each with probability p, by what it has for them in the other language.\n\n"
        + table(
            ["Language", "Name", "Translations judged by", "Dictionary"],
            ["p", "Words", "In dictionary", "Replaced", "Rate"],
            rows,
        )
    )


def _switching(done: Switching | None) -> list[str]:
    if done is None:
        return ["–"] * 5
    rate = _share(done.switched / done.words) if done.words else "–"
    return [shown(done.p), *(f"{number:,}" for number in (done.words, done.known, done.switched)), rate]


def _rows(facts: Facts) -> str:
    meanings = {family.name: family.metadata["meaning"] for family in fields(FamiliesConfig)}
    families = [family for family in meanings if any(family == of for _, of in facts.counts)]

    def cell(language: str | None, family: str | None) -> str:
        """The sum of what there is; None is all of them."""
        found = [n for (in_, of), n in facts.counts.items() if language in (in_, None) and family in (of, None)]
        train, held_out = (sum(numbers) for numbers in zip(*found, strict=True)) if found else (0, 0)
        return f"{train:,} + {held_out:,}" if found else "–"

    labels = _in_order(facts, {language for language, _ in facts.counts})
    rows = [[code(label), *(cell(label, family) for family in (*families, None))] for label in labels]
    rows.append(["**All**", *(cell(None, family) for family in (*families, None))])
    return (
        "## Rows\n\nBy language and family, as rows of train + rows of held_out.\n\n"
        + table(["Language"], [*map(code, families), "All"], rows)
        + "\n\n"
        + "\n".join(f"- {code(family)}: {meanings[family]}" for family in families)
    )


def _in_order(facts: Facts, labels: Container[str]) -> list[str]:
    return [language.label for language in (facts.source, *facts.targets) if language.label in labels]


def _others(facts: Facts) -> Iterator[str]:
    if facts.rejected:
        by_count = sorted(facts.rejected.items(), key=lambda item: (-item[1], item[0]))
        reasons = [[text(reason), f"{rows:,}"] for reason, rows in by_count]
        yield "## Rejected\n\n" + table(["Reason"], ["Rows"], reasons)
    if facts.survival:
        taus = sorted({tau for shares in facts.survival.values() for tau in shares})
        shares = [
            [code(label), *(_share(by_tau[tau]) if tau in by_tau else "–" for tau in taus)]
            for label, by_tau in ((label, facts.survival[label]) for label in _in_order(facts, facts.survival))
        ]
        yield (
            "## What a threshold would leave\n\nThe share of translations that score tau or more. The "
            "scores of different judges are not on one scale.\n\n"
            + table(["Language"], [f"tau {shown(tau)}" for tau in taus], shares)
        )
    if facts.engines:
        engines = [[text(part), code(engine)] for part, engine in sorted(facts.engines.items())]
        yield "## Models\n\n" + table(["Part", "Model"], [], engines)
    if facts.licences:
        licences = [[text(parent), text(licence)] for parent, licence in sorted(facts.licences.items())]
        yield (
            "## Licences\n\nThis set was made from what is listed here, and may be used only as all of their "
            "licences allow.\n\n" + table(["Source", "Licence"], [], licences)
        )
    if facts.settings:
        settings = [[code(key), code(shown(value))] for key, value in sorted(facts.settings.items())]
        yield "## Settings\n\n" + table(["Setting", "Value"], [], settings)


def _share(value: float) -> str:
    return f"{value:.1%}"
