"""Models of every kind that an evaluation opens, with random weights, and the job run on them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer

from tests.stack.stacks import stack
from xlnu.stack import artefact
from xlnu.tiny.build import Built

TOP = Path(__file__).parents[2]
NLI = ["contradiction", "entailment", "neutral"]


def a_stack(folder: Path, built: Built, labels: list[str] = NLI, task: str = "pair", **about: Any) -> Path:
    made = stack(str(built.mt), str(built.llm), task=task, labels=labels, length=128, **about)
    place = folder / f"stack_{task}"
    artefact.save(made, place)
    tokenizer: Any = AutoTokenizer.from_pretrained(built.mt)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(place)
    return place


def a_classifier(folder: Path, built: Built, labels: list[str] = NLI) -> Path:
    """As people publish them: its own tokenizer, and labels in its config."""
    tokenizer: Any = AutoTokenizer.from_pretrained(built.llm)  # type: ignore[no-untyped-call]
    config = transformers.XLMRobertaConfig(  # type: ignore[no-untyped-call]
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=130, type_vocab_size=1, pad_token_id=0,
        id2label=dict(enumerate(labels)), label2id={label: at for at, label in enumerate(labels)},
    )  # fmt: skip
    torch.manual_seed(3)
    model: Any = transformers.XLMRobertaForSequenceClassification(config)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder / "classifier")
    tokenizer.save_pretrained(folder / "classifier")
    return folder / "classifier"


def start(folder: Path, built: Built, *settings: str, **how: Any) -> "subprocess.Popen[str]":
    own = [f"tiny.cache={built.data.parent}", "tiny.size=xs", "languages=[qaa_Latn,qab_Cyrl]"]
    command = [sys.executable, str(TOP / "jobs" / "evaluate.py"), *own, *settings]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


def run(folder: Path, built: Built, *settings: str) -> "subprocess.CompletedProcess[str]":
    child = start(folder, built, *settings)
    out, said = child.communicate(timeout=600)
    return subprocess.CompletedProcess(settings, child.returncode, out, said)


def report(folder: Path, name: str = "evaluate") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "runs" / name / "report.json").read_text(encoding="utf-8"))
    return found


def belebele(path: Path, folder: Path) -> list[dict[str, Any]]:
    """The real data's text lies there in another form, a passage a line, and is put back into its own."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        passage = json.loads(line)
        for number, item in enumerate(passage["items"], 1):
            texts = {f"mc_answer{i}": answer["text"] for i, answer in enumerate(item["answers"], 1)}
            right = [i for i, answer in enumerate(item["answers"], 1) if answer["correct"]]
            row = {"link": passage["metadata"]["extra"]["url"], "question_number": number}
            row |= {"flores_passage": passage["text"], "question": item["question"]}
            rows.append(row | texts | {"correct_answer_num": str(right[0])})
    folder.mkdir(exist_ok=True)
    (folder / path.name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return rows
