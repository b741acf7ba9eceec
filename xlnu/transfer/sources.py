"""Where the instructions of a transfer set come from: one source of rows, by its settings. What is malformed is a
row too, with the reason.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from xlnu.config import REQUIRED, setting
from xlnu.errors import UserError
from xlnu.transfer.reading import Files, is_on_hub, is_saved, on_hub, saved
from xlnu.transfer.records import FORMS, TOLD_BY, Records, Row, apart, as_row, rejected


@dataclass
class SourceConfig:
    """The instructions that a transfer set is made of."""

    path: str = setting(
        REQUIRED,
        'where the instructions are: a file or folder of Alpaca JSON or JSONL, chat JSONL ("messages"), Parquet, a '
        "Hugging Face dataset saved on disk, or the name of one on the hub",
    )
    split: str = setting("train", "of a Hugging Face dataset")
    turns: Literal["single", "first"] = setting(
        "single", "chats with more than one exchange: reject them (single), or keep the first exchange"
    )
    at_most: int = setting(0, "only the first n records; 0: all", at_least=0)


@dataclass(frozen=True)
class Source:
    label: str  # for messages
    turns: Literal["single", "first"]
    at_most: int
    content: dict[str, str]
    read: Callable[[], Records]

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What the step's address depends on."""
        return {**self.content, "turns": self.turns, "at_most": self.at_most}

    def records(self) -> Iterator[Row]:
        """All rows, in order, and again at each call. Only the ids of the good ones are held."""
        seen = set[bytes]()
        first, known = "", False
        each = (one for origin, record in self.read() for one in apart(origin, record))
        for origin, record in islice(each, self.at_most or None):
            known = known or (isinstance(record, dict) and not record.keys().isdisjoint(TOLD_BY))
            row = as_row(origin, record, self.turns)
            if not row["reject"]:
                key = bytes.fromhex(row["id"])
                if key in seen:
                    row |= rejected(origin, "duplicate")
                seen.add(key)
            first = first or f"{origin}: {row['reject']}{_keys(record)}"
            yield row
        if not first:
            raise UserError(f"{self.label}: holds no record; {FORMS}")
        if not known:
            raise UserError(f"{self.label}: no record in it is an instruction ({first}); {FORMS}")


def open_source(config: SourceConfig) -> Source:
    """The source that the settings name. What can be read is looked at, so that most mistakes are found at once."""
    if not config.path.strip():
        raise UserError(f"{config.path!r} is no name of a file, folder or dataset that holds instructions")
    label = config.path
    if is_saved(config.path):
        content, read = saved(config.path, config.split)
    elif is_on_hub(config.path):
        content, read = on_hub(config.path, config.split)
    else:
        files = Files(config.path)
        label, content, read = files.label, {"content": files.content()}, files.read
    source = Source(label, config.turns, config.at_most, content, read)
    if "content" in content:  # what is on the hub is not loaded for a plan
        next(source.records())
    return source


def _keys(record: Any) -> str:
    return f"; its keys are {', '.join(map(repr, record))[:200]}" if isinstance(record, dict) else ""
