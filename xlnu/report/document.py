"""What a report holds. schema.json says what each key means; a test holds the two together."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

FORMAT = 1

Seen = Literal["source", "target"]
Resource = Literal["source", "high", "mid", "low"]
Mode = Literal[
    "before", "sdrrl", "sft", "translate_sft", "no_switch", "no_parallel", "no_filter",
    "stacked", "zero_shot", "encoder", "translate_test", "translate_train", "ensemble", "router",
    "stage1_labels", "stage2_only", "multilingual", "classifier", "majority", "random",
]  # fmt: skip


@dataclass(frozen=True)
class StepLine:
    """One step of the job. Nothing is dropped in silence: rows in are rows out and rows rejected."""

    name: str
    address: str
    rows_in: int
    rows_out: int
    rejected: dict[str, int]
    seconds: float
    skipped: bool

    def __post_init__(self) -> None:
        lost = self.rows_in - self.rows_out - sum(self.rejected.values())
        if lost:
            raise ValueError(
                f"step {self.name}: {self.rows_in} rows in, but {self.rows_out} out and "
                f"{sum(self.rejected.values())} rejected: {abs(lost)} {'lost' if lost > 0 else 'too many'}"
            )


@dataclass(frozen=True)
class Score:
    """One number: a metric of one mode in one language, over n examples."""

    benchmark: str
    task: str
    language: str
    seen: Seen
    resource: Resource
    mode: Mode
    objective: str | None
    metric: str
    value: float
    n: int
    ci_low: float | None
    ci_high: float | None
    seed: int | None
    model: str | None = None
    signature: str = ""
    address: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        low, high = self.ci_low, self.ci_high
        if (low is None) != (high is None) or (low is not None and high is not None and low > high):
            place = f"{self.benchmark} {self.language} {self.mode} {self.metric}"
            raise ValueError(f"score {place}: [{low}, {high}] is no confidence interval")


@dataclass(frozen=True)
class Average:
    """One number over several languages: the mean of what it is in each, over all seeds."""

    benchmark: str
    task: str
    metric: str
    mode: Mode
    objective: str | None
    model: str | None
    group: str
    languages: int
    value: float
    n: int
    ci_low: float
    ci_high: float
    seeds: list[int]


@dataclass(frozen=True)
class Comparison:
    """How much better one system is than another on the same examples; of an error, how much smaller it is."""

    benchmark: str
    task: str
    metric: str
    group: str
    one: str
    other: str
    difference: float
    ci_low: float
    ci_high: float
    n: int
    languages: int


@dataclass(frozen=True)
class Series:
    """A line of a plot: points of x and y, each with the interval of y if there is one."""

    name: str
    points: list[list[float | None]]


@dataclass(frozen=True)
class Plot:
    """What is read off a curve: how a training went, what survives a threshold, how layers align."""

    section: str
    title: str
    x: str
    y: str
    series: list[Series]
    address: str = ""


@dataclass(frozen=True)
class Sample:
    """One example and what a system answered, for reading."""

    benchmark: str
    task: str
    language: str
    mode: Mode
    model: str | None
    question: str
    right: str
    said: str
    correct: bool | None


@dataclass(frozen=True)
class Finding:
    """What a check of the data, or of a model's answers, found."""

    check: str
    where: str
    finding: str
    serious: bool


@dataclass(frozen=True)
class Machines:
    """What a job had of one type of machine on a cluster, all its drivers together; money None: nobody knows."""

    type: str
    instance: str
    spot: bool
    most: int
    hours: float
    idle_hours: float
    money: float | None
    currency: str


@dataclass(frozen=True)
class Claim:
    """A statement of a paper or of ours, and whether this run bears it out; None: it cannot tell."""

    claim: str
    source: str
    holds: bool | None
    evidence: str


@dataclass(frozen=True)
class TinyPaths:
    llm: str
    mt: str
    qe: str


@dataclass(frozen=True)
class TinyNumbers:
    qe_auc: float
    llm_source_accuracy: float
    bleu_to_source: dict[str, float]
    bleu_from_source: dict[str, float]
    cpu_seconds: float


@dataclass(frozen=True)
class Tiny:
    """The made world: where its models lie and how good they came out."""

    paths: TinyPaths
    numbers: TinyNumbers


@dataclass(frozen=True)
class Report:
    job: str
    settings: dict[str, Any]
    versions: dict[str, str]
    tiny: Tiny | None = None
    steps: list[StepLine] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    averages: list[Average] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    machines: list[Machines] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The keys of report.json in their order; `tiny` is left out where there was no made world."""
        document: dict[str, Any] = {"format": FORMAT} | plain(self)
        if self.tiny is None:
            del document["tiny"]
        return document


def plain(value: Any) -> Any:
    """Dataclasses as maps in the order of their fields, other maps by key: equal reports are equal bytes."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value
