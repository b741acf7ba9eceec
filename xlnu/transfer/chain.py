"""The steps between an instruction and its judged translations: cut, translated, put together, judged.

One chain takes some fields of every instruction through all languages.
"""

from dataclasses import dataclass, field

from xlnu.engines.checkpoint import Checkpoint
from xlnu.languages import Language
from xlnu.steps import Estimate, Rows, Step, Together, Work
from xlnu.transfer import bitext, score, sentences, translate
from xlnu.transfer.estimate import Amount
from xlnu.transfer.models import Add, Mt

CUT_ROWS, SENTENCE_ROWS = 1024, 8192


@dataclass
class Chain:
    """The last steps of one, by the label of the language."""

    bitext: dict[str, Step] = field(default_factory=dict)
    quality: dict[str, Step] = field(default_factory=dict)


@dataclass(frozen=True)
class Chains:
    """What all chains of a set have in common."""

    add: Add
    source: Language
    languages: list[Language]
    english: Step
    mt: Mt
    quality: score.QualityConfig
    judge: Checkpoint | None
    amount: Amount

    def chain(self, prefix: str, fields: tuple[str, ...]) -> Chain:
        source = self.source
        pieces = self.add(
            Step(
                f"{prefix}pieces",
                {"fields": list(fields), "source": source.label},
                lambda work: sentences.cut(work, work.inputs["english"], fields, source, CUT_ROWS),
                (self.english,),
            )
        )
        distinct = self.add(
            Step(
                f"{prefix}sentences",
                {},
                lambda work: sentences.collect(work, work.inputs[pieces.name], fields, SENTENCE_ROWS),
                (pieces,),
            )
        )
        translated = self._translated(prefix, distinct)
        returned = self._returned(prefix, distinct, translated)
        joined = self._joined(prefix, fields, pieces, distinct, translated, returned)
        return Chain(joined, self._judged(prefix, joined, fields[-1]))

    def _translated(self, prefix: str, distinct: Step) -> dict[str, Step]:
        ways = {
            f"{prefix}translated_{slug(language)}": translate.Way(self.source, language)
            for language in self.languages
        }

        def run(works: dict[str, Work]) -> dict[str, int]:
            one = next(iter(works.values()))
            rows = one.inputs[distinct.name].rows()
            return translate.translate(works, ways, rows, self.mt.config, self.mt.spec(one))

        together, found = Together(f"{prefix}translated", run), dict[str, Step]()
        for name, way in ways.items():
            about = {**self.mt.about(way.target), "source": way.source.label, "target": way.target.label}
            step = Step(name, about, together, only(distinct, self.mt.files), estimate=self._takes)
            found[way.target.label] = self.add(step)
        return found

    def _returned(self, prefix: str, distinct: Step, translated: dict[str, Step]) -> dict[str, Step]:
        """Only for languages that no quality model judges."""
        names = {
            f"{prefix}returned_{slug(language)}": language
            for language in self.languages
            if score.gate(self.quality, self.source, language) == score.ROUND_TRIP
        }
        ways = {name: translate.Way(language, self.source) for name, language in names.items()}

        def run(works: dict[str, Work]) -> dict[str, int]:
            one = next(iter(works.values()))
            translations = {
                name: work.inputs[translated[names[name].label].name].rows(rejected=True)
                for name, work in works.items()
            }
            rows, mt = one.inputs[distinct.name].rows(), self.mt
            return translate.give_back(works, ways, rows, translations, mt.config, mt.spec(one))

        together, made = Together(f"{prefix}returned", run), dict[str, Step]()
        for name, language in names.items():
            inputs = only(distinct, translated[language.label], self.mt.files)
            step = Step(name, self.mt.about(self.source), together, inputs, estimate=self._takes)
            made[language.label] = self.add(step)
        return made

    @property
    def _takes(self) -> Estimate:
        mt = self.mt
        return self.amount.translating(mt.checkpoint, mt.config.sentences_per_part, mt.pool, mt.config.beam)

    def _joined(
        self,
        prefix: str,
        fields: tuple[str, ...],
        pieces: Step,
        distinct: Step,
        translated: dict[str, Step],
        returned: dict[str, Step],
    ) -> dict[str, Step]:
        names = {f"{prefix}bitext_{slug(language)}": language for language in self.languages}
        engine = {"engine": self.mt.config.engine, "model": self.mt.name, "beam": self.mt.config.beam}

        def run(works: dict[str, Work]) -> dict[str, int]:
            inputs = next(iter(works.values())).inputs
            cut = bitext.cut_rows(inputs[pieces.name].rows(), inputs[distinct.name].rows())
            found = {}
            for name, work in works.items():
                language = names[name]
                made = work.inputs[translated[language.label].name]
                back = returned.get(language.label)
                found[name] = bitext.Translated(
                    language,
                    made.rows(rejected=True),
                    work.inputs[back.name].rows(rejected=True) if back else None,
                    known=translate.UNKNOWN not in made.manifest.rejected,
                )
            return bitext.rejoin(works, cut, found, fields, engine)

        together, joined = Together(f"{prefix}bitext", run), dict[str, Step]()
        for name, language in names.items():
            inputs = only(pieces, distinct, translated[language.label], returned.get(language.label))
            about = {"target": language.label}  # the translator's content is in the parent's address, not its name
            joined[language.label] = self.add(Step(name, about, together, inputs))
        return joined

    def _judged(self, prefix: str, joined: dict[str, Step], answer: str) -> dict[str, Step]:
        config, judge = self.quality, self.judge
        gates = {
            f"{prefix}quality_{slug(language)}": score.gate(config, self.source, language)
            for language in self.languages
        }

        def run(works: dict[str, Work]) -> dict[str, int]:
            wanted = {name: gates[name] for name in works}
            rows = next(iter(works.values())).inputs["english"].rows()
            return score.judge(works, rows, translations(works), wanted, answer, judge, config)

        together, judged = Together(f"{prefix}quality", run), dict[str, Step]()
        for language, (name, gate) in zip(self.languages, gates.items(), strict=True):
            by = judge if gate == score.COMET else None
            about = {"gate": gate} | (by.identity if by else {})
            rows = Estimate(self.amount.rows)
            takes = self.amount.judging(by, config.rows_per_part, config.pool) if by else rows
            inputs = (self.english, joined[language.label])
            judged[language.label] = self.add(Step(name, about, together, inputs, estimate=takes))
        return judged


def translations(works: dict[str, Work]) -> dict[str, Rows]:
    """Of steps whose inputs are the answers and a language's bitext: the latter."""
    return {
        name: next(result for parent, result in work.inputs.items() if parent != "english").rows(rejected=True)
        for name, work in works.items()
    }


def only(*steps: Step | None) -> tuple[Step, ...]:
    return tuple(step for step in steps if step is not None)


def slug(language: Language) -> str:
    return language.label.lower().replace("->", "_by_").replace("-", "_")
