"""The steps of a transfer set, from instructions to Parquet: which there are, and what each depends on."""

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from xlnu.config import REQUIRED, section, setting, settings
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.engines.open import (
    GeneratorSpec,
    TranslatorSpec,
    checkpoint_of,
    computed,
    conversion,
    identity,
)
from xlnu.errors import UserError
from xlnu.languages import Language, resolve, resolve_all
from xlnu.steps import Estimate, Result, Rows, Step, Together, Work
from xlnu.transfer import (
    assemble,
    bitext,
    describe,
    estimate,
    generate,
    instructions,
    mix,
    parallel,
    score,
    sentences,
    sources,
    translate,
)
from xlnu.transfer.contamination import Benchmarks, fingerprint
from xlnu.transfer.families import OF_INSTRUCTIONS, OF_PAIRS, OF_SOURCE

CUT_ROWS, SENTENCE_ROWS = 1024, 8192


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
    transfer: assemble.TransferConfig = section(assemble.TransferConfig)
    licences: dict[str, str] = setting(
        {}, "licences for the set's card, of what states none itself: {instructions: CC-BY-NC-4.0, parallel: ...}"
    )


@dataclass
class Chain:
    """One text of every instruction, cut, translated, put together and judged, in every language (by its label)."""

    bitext: dict[str, Step] = field(default_factory=dict)
    quality: dict[str, Step] = field(default_factory=dict)


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
        self.llm = checkpoint_of("english", config.english.engine, config.english)
        self.llm_files = self._conversion("llm", self.llm, config.english, config.english.pool.gpus)
        self.english = self._english()
        wanted = config.transfer.families.weights()
        translated = [f for f in wanted if f in OF_INSTRUCTIONS and f not in OF_SOURCE]
        self.corpora = {
            language.label: parallel.corpus(config.transfer.parallel, self.source, language)
            for language in self.languages
        }
        self.chain = self.gold = Chain()
        self.mt: Checkpoint | None = None
        self.judge: Checkpoint | None = None
        self.books: dict[str, mix.Books] = {}
        if translated:
            self._open_translator()
            self.chain = self._chain("", bitext.FIELDS)
        if "gold_tgt_tgt" in translated:
            self.gold = self._chain("gold_", ("output",))
        self.transfer = self._transfer(with_pairs=any(family in OF_PAIRS for family in wanted))

    def _check(self) -> None:
        config = self.config
        if not self.languages:
            raise UserError("languages: name at least one")
        for language in self.languages:
            if language.code == self.source.code:
                raise UserError(f"languages: {language.label} is the source language itself")
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

    def _conversion(self, name: str, checkpoint: Checkpoint | None, config: Any, gpus: int) -> Step | None:
        if config.engine != "ct2":
            return None
        assert checkpoint is not None
        return self._add(conversion(f"{name}_ct2", checkpoint, computed("ct2", config.compute, gpus)))

    # ------------------------------------------------------------------------------------------- the answers

    def _english(self) -> Step:
        config = self.config.english

        def run(work: Work) -> int:
            return generate.generate(work, config, self._llm(work), work.inputs["instructions"])

        about = identity(self.llm, config.engine, config, config.pool.gpus) | generate.about(config)
        takes = self.amount.answering(self.llm, config.pool.gpus)
        return self._add(Step("english", about, run, _only(self.instructions, self.llm_files), estimate=takes))

    def _llm(self, work: Work) -> GeneratorSpec:
        config = self.config.english
        files = work.inputs[self.llm_files.name].files() if self.llm_files else None
        return GeneratorSpec(config.engine, config, self.llm, files, config.batch_tokens)

    # -------------------------------------------------------------------------------------- the translations

    def _open_translator(self) -> None:
        config, engine = self.config.translator, self.config.translator.engine
        self.shots: dict[str, list[tuple[str, str]]] = {}
        if engine == "llm":
            self.mt, self.mt_files = self.llm, self.llm_files
            llm = identity(self.llm, self.config.english.engine, self.config.english, self.config.english.pool.gpus)
            self.mt_identity = {"engine": "llm", "llm": llm}
        else:
            self.mt = checkpoint_of("translator", engine, config)
            self.mt_files = self._conversion("mt", self.mt, config, config.pool.gpus)
            self.mt_identity = identity(self.mt, engine, config, config.pool.gpus)
        if engine in ("llm", "openai"):
            found = ((label, files) for label, files in self.corpora.items() if files)
            self.shots = {label: parallel.examples(files, config.shots) for label, files in found}

    def _translator(self, work: Work) -> TranslatorSpec:
        config = self.config.translator
        files = work.inputs[self.mt_files.name].files() if self.mt_files else None
        llm = None
        if config.engine == "llm":
            llm = self._llm(work)
        elif config.engine == "openai":
            llm = GeneratorSpec("openai", config, None, None, config.batch_tokens)
        return TranslatorSpec(
            config.engine,
            config,
            self.mt,
            files,
            config.batch_tokens,
            config.beam,
            config.max_tokens,
            llm,
            self.shots,
        )

    def _chain(self, prefix: str, fields: tuple[str, ...]) -> Chain:
        source, config = self.source, self.config
        pieces = self._add(
            Step(
                f"{prefix}pieces",
                {"fields": list(fields), "source": source.label},
                lambda work: sentences.cut(work, work.inputs["english"], fields, source, CUT_ROWS),
                (self.english,),
            )
        )
        distinct = self._add(
            Step(
                f"{prefix}sentences",
                {},
                lambda work: sentences.collect(work, work.inputs[pieces.name], fields, SENTENCE_ROWS),
                (pieces,),
            )
        )
        translated = self._translated(prefix, distinct)
        returned = self._returned(prefix, distinct, translated)

        def rejoin(works: dict[str, Work]) -> dict[str, int]:
            inputs = next(iter(works.values())).inputs
            cut = bitext.cut_rows(inputs[pieces.name].rows(), inputs[distinct.name].rows())
            engine = {
                "engine": config.translator.engine,
                "model": self._translator_name,
                "beam": config.translator.beam,
            }
            found = {}
            for language in self.languages:
                name = f"{prefix}bitext_{_slug(language)}"
                if name in works:
                    made = works[name].inputs[translated[language.label].name]
                    back = returned.get(language.label)
                    found[name] = bitext.Translated(
                        language,
                        made.rows(rejected=True),
                        works[name].inputs[back.name].rows(rejected=True) if back else None,
                        known=not made.manifest.rejected,
                    )
            return bitext.rejoin(works, cut, found, fields, engine)

        chain, together = Chain(), Together(f"{prefix}bitext", rejoin)
        for language in self.languages:
            inputs = _only(pieces, distinct, translated[language.label], returned.get(language.label))
            about = {"target": language.label}  # the translator's content is in the parent's address, not its name
            chain.bitext[language.label] = self._add(
                Step(f"{prefix}bitext_{_slug(language)}", about, together, inputs)
            )
        self._judged(prefix, chain, fields[-1])
        return chain

    @property
    def _translator_name(self) -> str:
        """What stands on the rows."""
        return self.mt.short if self.mt else self.config.translator.model

    def _translated(self, prefix: str, distinct: Step) -> dict[str, Step]:
        config = self.config.translator
        ways = {
            f"{prefix}translated_{_slug(language)}": translate.Way(self.source, language)
            for language in self.languages
        }

        def run(works: dict[str, Work]) -> dict[str, int]:
            one = next(iter(works.values()))
            rows = one.inputs[distinct.name].rows()
            return translate.translate(works, ways, rows, config, self._translator(one))

        together, found = Together(f"{prefix}translated", run), dict[str, Step]()
        for name, way in ways.items():
            about = {**self._about_translator(way.target), "source": way.source.label, "target": way.target.label}
            inputs = _only(distinct, self.mt_files)
            found[way.target.label] = self._add(Step(name, about, together, inputs, estimate=self._takes()))
        return found

    def _about_translator(self, target: Language) -> dict[str, Any]:
        about = self.mt_identity | translate.about(self.config.translator)
        shots = self.shots.get(target.label)
        return about | ({"examples": shots} if shots else {})

    def _returned(self, prefix: str, distinct: Step, translated: dict[str, Step]) -> dict[str, Step]:
        """Only for languages that no quality model judges."""
        config, made = self.config, dict[str, Step]()
        names = {
            f"{prefix}returned_{_slug(language)}": language
            for language in self.languages
            if score.gate(config.quality, self.source, language) == score.ROUND_TRIP
        }
        ways = {name: translate.Way(language, self.source) for name, language in names.items()}

        def run(works: dict[str, Work]) -> dict[str, int]:
            one = next(iter(works.values()))
            translations = {
                name: work.inputs[translated[names[name].label].name].rows(rejected=True)
                for name, work in works.items()
            }
            rows = one.inputs[distinct.name].rows()
            return translate.give_back(works, ways, rows, translations, config.translator, self._translator(one))

        together = Together(f"{prefix}returned", run)
        for name, language in names.items():
            inputs = _only(distinct, translated[language.label], self.mt_files)
            about = self._about_translator(self.source)
            made[language.label] = self._add(Step(name, about, together, inputs, estimate=self._takes()))
        return made

    def _takes(self) -> Estimate:
        config = self.config.translator
        return self.amount.translating(self.mt, config.pool.gpus, config.beam)

    def _judged(self, prefix: str, chain: Chain, answer: str) -> None:
        config = self.config.quality
        gates = {
            f"{prefix}quality_{_slug(language)}": score.gate(config, self.source, language)
            for language in self.languages
        }
        judge = self.judge = find("quality.model", config.model) if score.COMET in gates.values() else None

        def run(works: dict[str, Work]) -> dict[str, int]:
            one = next(iter(works.values()))
            translations = {
                name: next(r for n, r in work.inputs.items() if n != "english").rows(rejected=True)
                for name, work in works.items()
            }
            wanted = {name: gates[name] for name in works}
            rows = one.inputs["english"].rows()
            return score.judge(works, rows, translations, wanted, answer, judge, config)

        together = Together(f"{prefix}quality", run)
        for language, (name, gate) in zip(self.languages, gates.items(), strict=True):
            about = {"gate": gate} | (judge.identity if judge and gate == score.COMET else {})
            inputs = (self.english, chain.bitext[language.label])
            takes = self.amount.judging(judge if gate == score.COMET else None, config.pool.gpus)
            takes = takes if gate == score.COMET else Estimate(self.amount.rows)
            chain.quality[language.label] = self._add(Step(name, about, together, inputs, estimate=takes))

    # ------------------------------------------------------------------------------------------- the set

    def _switched(self) -> dict[str, Step]:
        config, seed = self.config.transfer.switch, self.config.transfer.seed
        self.books = {
            language.label: books
            for language in self.languages
            if self.chain.bitext and (books := mix.books(config, self.source, language))
        }
        found = {
            language.label: (f"switched_{_slug(language)}", self.books[language.label])
            for language in self.languages
            if language.label in self.books
        }

        def run(works: dict[str, Work]) -> dict[str, int]:
            translations = {
                name: next(r for n, r in work.inputs.items() if n != "english").rows(rejected=True)
                for name, work in works.items()
            }
            books = {name: books for name, books in found.values() if name in works}
            rows = next(iter(works.values())).inputs["english"].rows()
            return mix.mix(works, rows, translations, books, config.p, seed)

        together, made = Together("switched", run), dict[str, Step]()
        for label, (name, books) in found.items():
            about = {**books.identity, "p": config.p, "seed": seed}
            inputs = (self.english, self.chain.bitext[label])
            made[label] = self._add(Step(name, about, together, inputs))
        return made

    def _transfer(self, with_pairs: bool) -> Step:
        config = self.config.transfer
        self.switched = self._switched()
        self.pairs = {
            language.label: self._add(
                parallel.step(f"parallel_{_slug(language)}", files, config.parallel, self.source, language)
            )
            for language in self.languages
            if with_pairs and (files := self.corpora[language.label])
        }
        chain, gold = self.chain, self.gold
        self.by_label = (chain.bitext, chain.quality, gold.bitext, gold.quality, self.switched, self.pairs)

        def run(work: Work) -> int:
            given = self.ingredients(work.inputs)
            benchmarks = Benchmarks.read(config.benchmarks, config.ngram) if config.benchmarks else None
            rows_in = assemble.assemble(work, config, given, assemble.limits(config, given), benchmarks)
            self._write_card(work, given)
            return rows_in

        about = asdict(config)
        for read_by_others in ("switch", "parallel", "benchmarks"):
            del about[read_by_others]
        about |= {
            "copies": config.switch.copies,
            "benchmarks": fingerprint(config.benchmarks) if config.benchmarks else None,
            "source": self.source.label,
            "languages": [language.label for language in self.languages],
        }
        inputs = _only(self.english, *(steps.get(lg.label) for steps in self.by_label for lg in self.languages))
        return self._add(Step("transfer", about, run, inputs))

    def ingredients(self, results: Mapping[str, Result]) -> assemble.Ingredients:
        """The finished steps' rows, as the set is made of them."""

        def rows(step: Step | None) -> Rows | None:
            return results[step.name].rows(rejected=step not in self.pairs.values()) if step else None

        tables = (
            assemble.Tables(language, *[rows(steps.get(language.label)) for steps in self.by_label])
            for language in self.languages
        )
        return assemble.Ingredients(self.source, results["english"].rows(), tuple(tables))

    def _write_card(self, work: Work, given: assemble.Ingredients) -> None:
        config = self.config
        engines = {"llm": f"{config.english.engine} {self.llm.short if self.llm else config.english.model}"}
        if self.chain.bitext:
            engines["translator"] = f"{config.translator.engine} {self._translator_name}"
        if self.judge:
            engines["scorer"] = f"comet {self.judge.short}"
        dictionaries = {
            language.label: self.books[language.label].name if language.label in self.switched else "none"
            for language in self.languages
        }
        # a path says nothing to who reads the card, and may say what it should not
        paths = ("switch.dictionaries", "parallel.source", "parallel.target", "benchmarks")
        shown = {name: value for name, value in settings(config.transfer).items() if name not in paths}
        licences = {"llm": self.llm, "translator": self.mt, "scorer": self.judge}
        stated = {name: made.licence for name, made in licences.items() if made} | config.licences
        describe.write_card(work, config.transfer, given, dictionaries, engines, stated, shown)


def _only(*steps: Step | None) -> tuple[Step, ...]:
    return tuple(step for step in steps if step is not None)


def _slug(language: Language) -> str:
    return language.label.lower().replace("->", "_by_").replace("-", "_")
