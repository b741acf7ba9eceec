"""What an LLM alone answers, by the lm-evaluation-harness: its prompts, its way to choose, its judgement, so that
numbers compare with the literature. The examples are ours, read from the benchmark's official files, and its model
is opened in actors.

Where the harness has a benchmark's task in a language, that is taken; else the task that it has in English, which
asks in English about texts in the language. Which it was stands on every score.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from xlnu.cluster.pools import GeneratorPool, Placed
from xlnu.config import section, setting
from xlnu.engines.checkpoint import Checkpoint
from xlnu.errors import UserError
from xlnu.evaluate.said import asked_of, written
from xlnu.evaluate.schemas import ANSWERED
from xlnu.languages import Language
from xlnu.mtllm.tasks import Task
from xlnu.spread import spread
from xlnu.steps import NOBODY_KNOWS, Part, Rows, Step, Work

Row = Mapping[str, Any]
METRICS = {"acc": "accuracy", "acc_norm": "accuracy_norm", "exact_match": "exact_match", "f1": "f1"}
SPLITS = ("train", "validation", "test", "dev")  # whatever a task calls what it is tested on


@dataclass
class HarnessConfig:
    """How the lm-evaluation-harness runs an LLM."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto", "numbers; auto: as the model has them"
    )
    batch: int = setting(16, "requests computed at once", at_least=1)
    rows_per_part: int = setting(256, "answers written at once, and so lost at most to a kill", at_least=1)
    pool: GeneratorPool = section(GeneratorPool)


class Prompt(NamedTuple):
    """A benchmark's task there. `labels`: what its choices are, where that is not a number."""

    task: str  # with a language's names to fill in
    english: str  # for languages that it lacks
    document: Callable[[Sequence[str], Sequence[str]], dict[str, Any]]  # of segments, and of what is right
    labels: tuple[str, ...] = ()


def _nli(segments: Sequence[str], right: Sequence[str]) -> dict[str, Any]:
    return {"premise": segments[0], "hypothesis": segments[1], "label": NLI.index(right[0])}


def _copa(segments: Sequence[str], right: Sequence[str]) -> dict[str, Any]:
    premise, question, one, other = segments
    return {"premise": premise, "question": question, "choice1": one, "choice2": other, "label": int(right[0])}


def _reading(segments: Sequence[str], right: Sequence[str]) -> dict[str, Any]:
    passage, question, *choices = segments
    answers = {f"mc_answer{number}": text for number, text in enumerate(choices, 1)}
    number = str(int(right[0]) + 1)
    return {"flores_passage": passage, "question": question, "correct_answer_num": number, **answers}


def _topic(segments: Sequence[str], right: Sequence[str]) -> dict[str, Any]:
    return {"text": segments[0], "category": right[0]}


def _mood(segments: Sequence[str], right: Sequence[str]) -> dict[str, Any]:
    return {"tweet": segments[0], "label": right[0]}


def _maths(segments: Sequence[str], right: Sequence[str]) -> dict[str, Any]:
    return {"question": segments[0], "answer": None, "answer_number": int(right[0])}


def _passage(segments: Sequence[str], right: Sequence[str]) -> dict[str, Any]:
    return {"context": segments[0], "question": segments[1], "answers": {"text": list(right)}}


NLI = ("entailment", "neutral", "contradiction")
MOODS = ("negative", "positive", "neutral")
TOPICS = (
    "science/technology", "travel", "politics", "sports", "health", "entertainment", "geography",
)  # fmt: skip
PROMPTS: dict[str, Prompt] = {
    "xnli": Prompt("xnli_{iso1}", "xnli_en", _nli, NLI),
    "americasnli": Prompt("xnli_en", "xnli_en", _nli, NLI),
    "kardes_nli": Prompt("xnli_en", "xnli_en", _nli, NLI),
    "xcopa": Prompt("xcopa_{iso1}", "copa", _copa),
    "kardes_copa": Prompt("copa", "copa", _copa),
    "belebele": Prompt("belebele_{language}", "belebele_eng_Latn", _reading),
    "sib200": Prompt("sib_eng_prompt_1", "sib_eng_prompt_1", _topic, TOPICS),
    "afrisenti": Prompt("afrisenti_swa_prompt_1", "afrisenti_swa_prompt_1", _mood, MOODS),
    "nusax": Prompt("afrisenti_swa_prompt_1", "afrisenti_swa_prompt_1", _mood, MOODS),
    "mgsm": Prompt("mgsm_direct_{iso1}", "mgsm_direct_en", _maths),
    "xquad": Prompt("xquad_{iso1}", "xquad_en", _passage),
}


def installed() -> str:
    """Its version; UserError without it."""
    try:
        from importlib.metadata import version

        return version("lm_eval")
    except ImportError:
        raise UserError(
            "benchmarks: an LLM is asked by the lm-evaluation-harness, which is not installed: pip install -c "
            "constraints.txt -e '.[eval]'"
        ) from None


def step(
    name: str,
    benchmark: str,
    model: Checkpoint,
    base: Checkpoint | None,
    tests: Sequence[Step],
    task: Task,
    config: HarnessConfig,
    languages: dict[str, Language],
) -> Step:
    """`tests`: rows of EXAMPLES or of QUESTIONS. `base`: what the model is an adapter of."""
    about = {
        "harness": installed(),
        "benchmark": benchmark,
        "dtype": config.dtype,
        "model": model.identity,
        "base": base.identity if base else None,
    }

    def run(work: Work) -> int:
        rows = Rows.joined([work.inputs[one.name].rows() for one in tests])
        stage = functools.partial(_Ask, rows, benchmark, model, base, task, config, languages)
        spread({work.name: work}, {work.name: len(rows)}, config.rows_per_part, stage, config.pool)
        return len(rows)

    return Step(name, about, run, tuple(tests), estimate=NOBODY_KNOWS)


class _Ask:
    def __init__(
        self,
        rows: Rows,
        benchmark: str,
        model: Checkpoint,
        base: Checkpoint | None,
        task: Task,
        config: HarnessConfig,
        languages: dict[str, Language],
        placed: Placed,
    ) -> None:
        import torch

        torch.set_num_threads(placed.threads)
        _quiet()
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager

        self.rows, self.prompt, self.task, self.languages = rows, PROMPTS[benchmark], task, languages
        self.manager: Any = TaskManager()
        self.model: Any = HFLM(
            pretrained=(base or model).local(),
            peft=model.local() if base else None,
            device="cuda" if placed.gpus else "cpu",
            dtype=config.dtype,
            batch_size=config.batch,
        )

    def __call__(self, _step: str, part: Part) -> tuple[pa.Table, int]:
        given = self.rows.read(part.start, part.stop).to_pylist()
        made: dict[int, dict[str, Any]] = {}
        for label in dict.fromkeys(row["language"] for row in given):
            places = [at for at, row in enumerate(given) if row["language"] == label]
            made |= zip(places, self._of_one([given[at] for at in places], self.languages[label]), strict=True)
        return pa.Table.from_pylist([made[at] for at in range(len(given))], schema=ANSWERED), 0

    def _of_one(self, rows: Sequence[Row], language: Language) -> list[dict[str, Any]]:
        from lm_eval import evaluator

        name = self._name(language)
        right = [_right(row, self.task) for row in rows]
        documents = [self.prompt.document(row["segments"], some) for row, some in zip(rows, right, strict=True)]
        spec = {
            "group": "ours",
            "task": [{"task": name, "custom_dataset": _dataset(documents), "dataset_kwargs": None}],
        }
        loaded = self.manager.load(spec)["tasks"]
        found = evaluator.evaluate(self.model, loaded, log_samples=True, bootstrap_iters=0)
        (samples,) = found["samples"].values()
        said: list[list[dict[str, Any]]] = [[] for _ in rows]
        for sample in samples:
            said[sample["doc_id"]].append(sample)
        return [self._row(*each, name) for each in zip(rows, right, said, strict=True)]

    def _name(self, language: Language) -> str:
        from xlnu.evaluate.benchmarks.formats import names

        filled = self.prompt.task.format(**names(language))
        return filled if filled in self.manager.task_index else self.prompt.english

    def _row(self, row: Row, right: Sequence[str], samples: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
        """Of several ways to read an answer the last: it finds a number wherever it stands."""
        last = samples[-1]
        judged = {METRICS[metric]: float(last[metric]) for metric in last["metrics"] if _counts(last, metric)}
        answers, logits = last["filtered_resps"], list[float]()
        if isinstance(answers[0], tuple | list):
            logits = [float(one[0]) for one in answers]
            best = max(range(len(logits)), key=logits.__getitem__)
            answers = [self.prompt.labels[best] if self.prompt.labels else str(best)]
        return {name: row[name] for name in ("id", "reject", "language", "key")} | {
            "benchmark": self.task.format,
            "task": self.task.name,
            "kind": self.task.kind,
            "asked": asked_of(row["segments"], self.task.kind),
            "right": list(right),
            "said": [str(one) for one in answers],
            "logits": logits,
            "tokens": 0,
            "cut_off": False,
            "judged": judged,
            "prompt": f"lm-eval {installed()}: {name}",
        }


def _right(row: Row, task: Task) -> list[str]:
    return list(row["right"]) if "right" in row else written(row["gold"], task.kind, task.labels)


def _counts(sample: Mapping[str, Any], metric: str) -> bool:
    """Of a metric that needs all examples together there is no number a sample."""
    return metric in METRICS and isinstance(sample.get(metric), int | float)


def _dataset(documents: Sequence[dict[str, Any]]) -> Callable[..., Any]:
    def made(**_: Any) -> Any:
        from datasets import Dataset

        return dict.fromkeys(SPLITS, Dataset.from_list(list(documents)))

    return made


def _quiet() -> None:
    import logging

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
