"""The settings of the evaluation job."""

from dataclasses import dataclass
from typing import Literal

from xlnu.config import section, setting
from xlnu.evaluate.harness import HarnessConfig
from xlnu.evaluate.probes import ProbeConfig
from xlnu.evaluate.questions import AnswerConfig, Resource
from xlnu.evaluate.said import ReadConfig
from xlnu.run import RunConfig
from xlnu.tiny.build import TinyConfig
from xlnu.transfer.ask import AskConfig, holds
from xlnu.transfer.translate import TranslatorConfig

Asking = Literal["direct", "translate_test"]


@dataclass
class EvaluationConfig:
    model: str = setting(
        "", "what is evaluated: a folder, or a name on the hub (NAME@REVISION): a stack, a classifier, an LLM, or "
        "an adapter of one"
    )  # fmt: skip
    models: list[str] = setting(
        [], "more of them, each NAME=FOLDER or NAME=HUB/NAME; all are compared with the first"
    )
    base: str = setting(
        "", "the LLM that an adapter is of, a folder or a name on the hub; empty: what the adapter says"
    )
    benchmarks: list[str] = setting(
        [], "each NAME=FOLDER with its official files, NAME=PATH with {language} in it, NAME=HUB/DATASET, or NAME: "
        "from the hub; xnli, americasnli, kardes_nli, kardes_sts, kardes_copa, xcopa, nusax, sib200, afrisenti, "
        "belebele, xquad, mkqa, flores, xlsum, mgsm, masakhaner"
    )  # fmt: skip
    source: str = setting("eng_Latn", "the models' best language")
    languages: list[str] = setting([], "that are tested; empty: all that the benchmarks have")
    ways: list[Asking] = setting(
        ["direct"], "direct: as the tests are; translate_test: translated into the source language by `translator`"
    )
    at_most: int = setting(0, "only the first n examples of each file; 0: all", at_least=0)
    guesses: bool = setting(True, "whether always the commonest answer, and any, are scored beside the models")
    labels: dict[str, str] = setting({}, "of a classifier: {what a benchmark calls it: what the model calls it}")
    parents: dict[str, str] = setting({}, "where a stack's parents lie now: {encoder: FOLDER, llm: FOLDER}")
    training: list[str] = setting(
        [], "files and folders of what the models were trained on: it is checked for the tests' text"
    )
    comet: str = setting(
        "",
        "a COMET checkpoint by which translations are judged, too: a folder, or a name on the hub (NAME@REVISION)",
    )
    identify: str = setting(
        "",
        "a fastText model that tells languages, as GlotLID's; empty: learned from FLORES's other split",
    )
    resources: dict[str, Resource] = setting(
        {}, "how much text there is of a language, for the report: {sw: low, uk: high}; else high if XLM-R has it"
    )
    translate: str = setting(
        AskConfig().translate, "asks for a translation", check=holds("source", "target", "text")
    )
    summarise: str = setting(
        "Summarize this text in one sentence, in {language}:\n{text}",
        "asks for a summary",
        check=holds("language", "text"),
    )
    lowercase: bool = setting(False, "write names of languages without capitals when asking")
    translator: TranslatorConfig = section(TranslatorConfig)
    read: ReadConfig = section(ReadConfig)
    harness: HarnessConfig = section(HarnessConfig)
    answer: AnswerConfig = section(AnswerConfig)
    probes: ProbeConfig = section(ProbeConfig)
    tiny: TinyConfig = section(TinyConfig)
    run: RunConfig = section(RunConfig)
