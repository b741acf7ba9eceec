"""What `python jobs/tiny.py` prints: the world's description, its languages, its facts, and its numbers."""

from dataclasses import dataclass

from xlnu.config import section, setting
from xlnu.plan import plan
from xlnu.run import FolderConfig, Run, print_out
from xlnu.tiny.build import Built, TinyConfig, build, open_cache, world_steps
from xlnu.tiny.clauses import Clause, Noun, Place
from xlnu.tiny.numbers import TAU
from xlnu.tiny.sizes import SIZES
from xlnu.tiny.tongues import SOURCE
from xlnu.tiny.world import Text, World

ABOUT = """\
A made world: an English-like source language and seven made ones, an LLM that has read only the source language and
knows the world's facts, a translation model, and a quality model. What holds here need not hold at real size."""
ALIGNED = """\
On purpose (tiny.aligned): the translation model was taught which words stand for each other, its cross-attention at
first and then its encoder, for the neutrality that NLLB has from its size."""
MASKED = """\
On purpose (tiny.masked): the translation model's decoder never learned to translate low-resource languages into the
source language, though its encoder reads them. That is a handicap of this world's making, which favours the stack:
whoever has the aligned text could train the decoder on it."""
UNALIGNED = "The control without alignment: nothing taught the translation model which words stand for each other."
UNMASKED = "The control without the mask: the decoder learned to translate low-resource languages as any other."


def _about(config: TinyConfig) -> str:
    said = [ABOUT, ALIGNED if config.aligned else UNALIGNED, MASKED if config.masked else UNMASKED]
    return "\n".join(said)


@dataclass
class ShowConfig:
    tiny: TinyConfig = section(TinyConfig)
    sentences: int = setting(4, "sentences to show in every language, with their glosses", at_least=0)
    run: FolderConfig = section(FolderConfig)


def work(config: ShowConfig, run: Run) -> None:
    if run.plan:
        print_out(plan(list(world_steps(config.tiny).values()), open_cache(config.tiny, writable=False), 0.0))
        return
    built = build(config.tiny, run.display)
    world = World(config.tiny.seed, SIZES[config.tiny.size].amounts.people)
    print_out(
        "\n\n".join(
            [_about(config.tiny), *_sentences(world, config.sentences), _facts(world), *_numbers(built, world)]
        )
    )
    report(built, run)
    print_out(run.folder.place("report.html"))


def report(built: Built, run: Run) -> None:
    from xlnu import machine
    from xlnu.report.document import Report
    from xlnu.report.write import write

    write(Report(run.name, run.settings, machine.versions(), tiny=built.report()), run.put)


def _sentences(world: World, n: int) -> list[str]:
    person, friend = (
        fact for fact in world.facts if fact.attribute == "home" and fact.person in world.names.people[:2]
    )
    shown: list[Text] = [
        (Clause(verb="carry", subject=Noun("girl", "the", "old"), object=Noun("apple", "a", "red"),
                place=Place("near", Noun("river", "the"))),),
        world.ask(person, 0),
        (world.state(friend),),
        (Clause(verb="sell", subject=Noun("man", "the"), object=Noun("pear", "the", "awful"), negated=True),),
        world.ask(friend, 1),
        world.ask(person, 2),
    ]  # fmt: skip
    blocks = []
    for text in shown[:n]:
        lines = [["", world.say(text, SOURCE), ""]]
        for tongue in world.tongues:
            gloss = " ".join(word.gloss for clause in text for word in tongue.words(clause))
            lines.append([tongue.code, world.say(text, tongue.code), gloss])
        blocks.append(_table(lines))
    return blocks


def _facts(world: World) -> str:
    lines = [["facts", *world.values, "kept out of the instructions"]]
    for person in world.names.people[:5]:
        values = {fact.attribute: fact.value for fact in world.facts if fact.person == person}
        lines.append([person, *values.values(), world.kept[person]])
    more = len(world.names.people) - 5
    return _table(lines) + (f"\nand {more} more" if more > 0 else "")


def _numbers(built: Built, world: World) -> list[str]:
    n = built.numbers
    lines = [[
        "", "resource", "BLEU into", "BLEU from", "exact from", "retrieval@1", "facts", "topic", "mood",
        f"rejected at {TAU}",
    ]]  # fmt: skip
    for code in world.codes:
        knows = [f"{n['llm'][code][what]:.2f}" for what in ("facts", "topic", "mood")]
        if code == SOURCE:
            lines.append([code, "source", "", "", "", "", *knows, ""])
            continue
        translated = [f"{n[what][code]:.0f}" for what in ("bleu_to_source", "bleu_from_source")]
        shares = [f"{n[what][code]:.2f}" for what in ("exact_from_source", "retrieval_at_1")]
        lines.append([
            code, world.by_code[code].resource, *translated, *shares, *knows, f"{n['qe_rejected'][code]:.2f}"
        ])  # fmt: skip
    across = ", ".join(f"{pair} {bleu:.0f}" for pair, bleu in n["bleu_across"].items())
    apart = f"spoilt by hand {n['qe_auc_spoilt']:.3f}, the translation model's {n['qe_auc_machine']:.3f}"
    rejected = f"{n['qe_good_rejected']:.0%} of the good and {n['qe_bad_rejected']:.0%} of the bad"
    equal = ", ".join(f"{name} {share}" for name, share in n["converted_equal"].items())
    seconds = ", ".join(f"{name} {spent:.0f}" for name, spent in n["cpu_seconds"].items())
    size = ", ".join(f"{name} {mb:.1f}" for name, mb in n["megabytes"].items())
    rest = [
        f"BLEU between made languages, never trained: {across}",
        f"quality model: AUC {n['qe_auc']:.3f} ({apart}); at {TAU} it rejects {rejected}",
        f"CTranslate2 as transformers, greedy: {equal}",
        f"CPU seconds: {seconds}; together {sum(n['cpu_seconds'].values()):.0f}",
        f"megabytes: {size}",
        *(f"{name}: {getattr(built, name)}" for name in ("data", "llm", "mt", "qe")),
    ]
    return [_table(lines), "\n".join(rest)]


def _table(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
