"""The steps of a transfer set, from instructions to Parquet: which there are, and what each depends on."""

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from xlnu.config import REQUIRED, section, setting, settings
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.errors import UserError
from xlnu.languages import Language, resolve, resolve_all
from xlnu.steps import Estimate, Result, Rows, Step, Together, Work
from xlnu.transfer import (
    assemble,
    bitext,
    describe,
    dictionaries,
    estimate,
    generate,
    instructions,
    mix,
    parallel,
    score,
    sources,
    translate,
    verdict,
)
from xlnu.transfer.chain import Chain, Chains, only, slug, translations
from xlnu.transfer.contamination import Benchmarks, fingerprint
from xlnu.transfer.families import OF_INSTRUCTIONS, OF_PAIRS, OF_SOURCE
from xlnu.transfer.models import Llm, Mt


@dataclass
class SetConfig:
    """A transfer set, and all it is made of."""

    source: str = setting("eng_Latn", "the language of the instructions, which the LLM knows best")
    languages: list[str] = setting(
        REQUIRED, "the languages to make it for, each a code, an ISO code, a name, or code->code for a fallback"
    )
    instructions: sources.SourceConfig = section(sources.SourceConfig)
    english: generate.EnglishConfig = section(generate.EnglishConfig)
    translator: translate.TranslatorConfig = section(translate.TranslatorConfig)
    quality: score.QualityConfig = section(score.QualityConfig)
    transfer: verdict.TransferConfig = section(verdict.TransferConfig)
    licences: dict[str, str] = setting(
        {}, "licences for the set's card, of what states none itself: {instructions: CC-BY-NC-4.0, parallel: ...}"
    )


class TransferSet:
    """The steps of a transfer set in the order in which they are done; the last of them is the set."""

    def __init__(self, config: SetConfig, declared: tuple[Language, ...] = (), plan: bool = False) -> None:
        """`plan`: with estimates of what the steps take, for which the source is read once."""
        self.config, self.steps = config, list[Step]()
        self.source = resolve(config.source, declared)
        self.languages = resolve_all(config.languages, declared)
        self._check()
        origin = sources.open_source(config.instructions)
        self.amount = estimate.amount(origin) if plan else estimate.Amount(0, 0, 0)
        self.instructions = self._add(
            Step(
                "instructions",
                origin.fingerprint,
                functools.partial(instructions.write, source=origin),
                estimate=Estimate(self.amount.rows),
            )
        )
        self.llm = Llm(config.english, self._add)
        self.english = self._english()
        wanted = config.transfer.families.weights()
        translated = [f for f in wanted if f in OF_INSTRUCTIONS and f not in OF_SOURCE]
        self.corpora = self._corpora()
        self.chain = self.gold = Chain()
        self.mt: Mt | None = None
        self.judge: Checkpoint | None = None
        self.books: dict[str, mix.Books] = {}
        if translated:
            self.mt, self.judge = Mt(config.translator, self.llm, self.corpora, self._add), self._judge()
            chains = Chains(
                self._add,
                self.source,
                self.languages,
                self.english,
                self.mt,
                config.quality,
                self.judge,
                self.amount,
            )
            self.chain, self.books = chains.chain("", bitext.FIELDS), self._books()
            if "gold_tgt_tgt" in translated:
                self.gold = chains.chain("gold_", ("output",))
        self.switched = self._switched()
        self.pairs = self._pairs() if any(family in OF_PAIRS for family in wanted) else {}
        self.transfer = self._transfer()

    def _check(self) -> None:
        config = self.config
        if not self.languages:
            raise UserError("languages: name at least one")
        for language in self.languages:
            if language.code == self.source.code:
                raise UserError(f"languages: {language.label} is the source language itself")
        if not config.transfer.families.weights():
            raise UserError("transfer.families: every weight is 0: there would be no row")
        patterns = {
            "transfer.switch.dictionaries": config.transfer.switch.dictionaries,
            "transfer.parallel.target": config.transfer.parallel.target,
        }
        for key, pattern in patterns.items():
            if pattern and "{target" not in pattern:
                raise UserError(
                    f"{key}: {pattern}: names no language, and would be every language's; put {{target}} in it"
                )
        if config.english.engine == "ct2" and config.english.temperature:
            raise UserError(
                "english.temperature: the engine ct2 cannot draw by a seed of each row; "
                "take english.engine=hf, vllm or openai, or temperature 0"
            )
        if config.translator.engine == "llm" and config.english.engine == "vllm":
            raise UserError("translator.engine: llm needs english.engine=ct2, hf or openai; vllm serves by openai")

    def _add(self, step: Step) -> Step:
        self.steps.append(step)
        return step

    def _english(self) -> Step:
        config, llm = self.config.english, self.llm

        def run(work: Work) -> int:
            return generate.generate(work, config, llm.spec(work), work.inputs["instructions"])

        about = llm.identity | generate.about(config)
        takes = self.amount.answering(llm.checkpoint, config.rows_per_part, config.pool)
        return self._add(Step("english", about, run, only(self.instructions, llm.files), estimate=takes))

    def _judge(self) -> Checkpoint | None:
        config = self.config.quality
        gates = {score.gate(config, self.source, language) for language in self.languages}
        return find("quality.model", config.model, config.revision) if score.COMET in gates else None

    def _corpora(self) -> dict[str, parallel.Corpus]:
        config = self.config.transfer.parallel
        asked = {language.label: parallel.corpus(config, self.source, language) for language in self.languages}
        found = {label: corpus for label, corpus in asked.items() if corpus}
        if config.source and not found:
            looked = dictionaries.find(config.source, self.source, self.languages[0])
            raise UserError(f"transfer.parallel.source: fits no language's file; looked for {looked} and so on")
        return found

    def _books(self) -> dict[str, mix.Books]:
        config = self.config.transfer.switch
        asked = {language.label: mix.books(config, self.source, language) for language in self.languages}
        found = {label: books for label, books in asked.items() if books}
        if config.dictionaries and config.p and not found:
            looked = dictionaries.find(config.dictionaries, self.source, self.languages[0])
            raise UserError(
                f"transfer.switch.dictionaries: fits no file of any language in its script; looked for {looked} "
                "and so on"
            )
        return found

    def _switched(self) -> dict[str, Step]:
        config, seed = self.config.transfer.switch, self.config.transfer.seed
        found = {f"switched_{slug(language)}": language.label for language in self.languages}

        def run(works: dict[str, Work]) -> dict[str, int]:
            books = {name: self.books[found[name]] for name in works}
            rows = next(iter(works.values())).inputs["english"].rows()
            return mix.mix(works, rows, translations(works), books, config.p, seed)

        together, made = Together("switched", run), dict[str, Step]()
        for name, label in found.items():
            if label in self.books:
                about = {**self.books[label].identity, "p": config.p, "seed": seed}
                inputs = (self.english, self.chain.bitext[label])
                made[label] = self._add(Step(name, about, together, inputs))
        return made

    def _pairs(self) -> dict[str, Step]:
        config, source = self.config.transfer.parallel, self.source
        return {
            language.label: self._add(
                parallel.step(f"parallel_{slug(language)}", self.corpora[language.label], config, source, language)
            )
            for language in self.languages
            if language.label in self.corpora
        }

    def _transfer(self) -> Step:
        config = self.config.transfer
        chain, gold = self.chain, self.gold
        self.by_label = (chain.bitext, chain.quality, gold.bitext, gold.quality, self.switched, self.pairs)

        def run(work: Work) -> int:
            given = self.ingredients(work.inputs)
            benchmarks = Benchmarks.read(config.benchmarks, config.ngram) if config.benchmarks else None
            rows_in = assemble.assemble(work, config, given, verdict.limits(config, given), benchmarks)
            self._write_card(work, given)
            return rows_in

        about = asdict(config)
        for read_elsewhere in ("switch", "parallel", "benchmarks"):
            del about[read_elsewhere]
        about |= {
            "copies": config.switch.copies,
            "benchmarks": fingerprint(config.benchmarks) if config.benchmarks else None,
            "source": self.source.label,
            "languages": [language.label for language in self.languages],
            "licences": self.config.licences,  # for the card: another word on it is another set
        }
        inputs = only(self.english, *(steps.get(lg.label) for steps in self.by_label for lg in self.languages))
        return self._add(Step("transfer", about, run, inputs))

    def ingredients(self, results: Mapping[str, Result]) -> verdict.Ingredients:
        """The finished steps' rows, as the set is made of them."""

        def rows(step: Step | None) -> Rows | None:
            return results[step.name].rows(rejected=step not in self.pairs.values()) if step else None

        tables = (
            verdict.Tables(language, *[rows(steps.get(language.label)) for steps in self.by_label])
            for language in self.languages
        )
        return verdict.Ingredients(self.source, results["english"].rows(), tuple(tables))

    def _write_card(self, work: Work, given: verdict.Ingredients) -> None:
        config = self.config
        engines = {"llm": f"{config.english.engine} {self.llm.name}"}
        if self.mt:
            engines["translator"] = f"{config.translator.engine} {self.mt.name}"
        if self.judge:
            engines["scorer"] = f"comet {self.judge.short}"
        named = {
            language.label: self.books[language.label].name if language.label in self.switched else "none"
            for language in self.languages
        }
        # a path says nothing to who reads the card, and may say what it should not
        paths = ("switch.dictionaries", "parallel.source", "parallel.target", "benchmarks")
        shown = {name: value for name, value in settings(config.transfer).items() if name not in paths}
        translator = self.mt.checkpoint if self.mt else None
        licences = {"llm": self.llm.checkpoint, "translator": translator, "scorer": self.judge}
        stated = {name: made.licence for name, made in licences.items() if made} | config.licences
        describe.write_card(work, config.transfer, given, named, engines, stated, shown)
