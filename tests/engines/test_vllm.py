"""vLLM without a GPU: its pipeline is built by ray.data.llm from our settings, and what stands before and after the
engine is run. The engine itself is not.
"""

import random
from pathlib import Path
from typing import Any

import pytest
import ray
from transformers import AutoTokenizer

from xlnu import steps
from xlnu.cluster.pools import Placed
from xlnu.config import load
from xlnu.engines.base import Answer, Decoding
from xlnu.engines.chat import question, render
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.engines.vllm import ERROR, answer, gathered, processor, request
from xlnu.errors import UserError
from xlnu.progress import Display
from xlnu.store import Store
from xlnu.tiny.build import Built
from xlnu.tiny.embed import embed
from xlnu.transfer.build import TransferSet
from xlnu.transfer.job import TransferJobConfig

CONFIG = Path(__file__).parents[2] / "configs" / "tiny" / "transfer.yaml"


@pytest.mark.usefixtures("ray_here")
def test_ray_builds_the_pipeline_that_our_settings_ask_for(tiny: Built) -> None:
    built = processor(
        find("english.model", str(tiny.llm)), Placed(3, 1, 2, {"generator": 0.001}), compute="float16", batch=64
    )
    assert built.list_stage_names() == ["vLLMEngineStage"], "tokens go in and text comes out: no stage beside it"
    stage = built.get_stage_by_name("vLLMEngineStage")
    engine, placed = stage.fn_constructor_kwargs, stage.map_batches_kwargs
    assert engine["model"] == str(tiny.llm)
    assert engine["engine_kwargs"] | {"dtype": "float16", "tensor_parallel_size": 2} == engine["engine_kwargs"]
    assert engine["should_continue_on_error"]
    assert (placed["compute"].min_size, placed["compute"].max_size) == (3, 3)
    assert placed["runtime_env"] == {"pip": [f"ray[llm]=={ray.__version__}"]}


@pytest.mark.usefixtures("ray_here")
def test_engines_fetch_a_model_of_the_hub_themselves_in_its_revision() -> None:
    hub = Checkpoint("some/model", "0123abc", "")
    stage = processor(hub, Placed(1, 1, 1), compute="auto", batch=64).get_stage_by_name("vLLMEngineStage")
    assert stage.fn_constructor_kwargs["model"] == "some/model"
    assert stage.fn_constructor_kwargs["engine_kwargs"]["revision"] == "0123abc"


@pytest.mark.usefixtures("ray_here")
def test_without_a_gpu_it_says_so_and_does_not_wait_for_one(tiny: Built, tmp_path: Path) -> None:
    few = ["instructions.at_most=3", "languages=[qaa_Latn]", "tiny.size=xs", f"tiny.cache={tiny.data.parent}"]
    config = load(TransferJobConfig, str(CONFIG), ["english.engine=vllm", *few])
    _, declared = embed(config, config.tiny, Display(), plan=False)
    with pytest.raises(UserError, match="an actor with 1 cores and 1 GPUs fits on no machine here"):
        steps.run(TransferSet(config, declared).steps, Store(str(tmp_path)), Display())


def test_a_row_is_asked_by_the_tokens_and_the_seed_that_other_engines_use(tiny: Built) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny.llm)  # type: ignore[no-untyped-call]
    asked = question(None, "who is it?", "the old man", 7)
    row = request(tokenizer, asked, Decoding(64, temperature=0.5, top_p=0.9))
    assert [row["tokenized_prompt"]] == render(tokenizer, [asked])
    assert row["sampling_params"] == {"max_tokens": 64, "temperature": 0.5, "top_p": 0.9, "seed": 7}


def test_what_comes_back_is_an_answer() -> None:
    row: dict[str, Any] = {"generated_text": " yes.", "num_generated_tokens": 3, ERROR: ""}
    assert answer(row, Decoding(4)) == Answer("yes.", 3, cut_off=False)
    assert answer({**row, "num_generated_tokens": 4}, Decoding(4)).cut_off
    assert answer({**row, ERROR: "too long"}, Decoding(4)).refused == "refused by vLLM"


def test_rows_in_any_order_become_parts_in_their_own() -> None:
    sizes = [3, 1, 4]
    rows = [{"part": part, "place": place} for part, size in enumerate(sizes) for place in range(size)]
    random.Random(0).shuffle(rows)
    found = dict(gathered(iter(rows), sizes))
    assert found == {
        part: [{"part": part, "place": place} for place in range(size)] for part, size in enumerate(sizes)
    }
