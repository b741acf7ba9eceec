"""vLLM without a GPU: its pipeline is built by ray.data.llm from our settings, and what stands before and after the
engine is run. The engine itself is not.
"""

import random
from typing import Any

import pytest
import ray
from transformers import AutoTokenizer

from xlnu.engines.base import Answer, Decoding
from xlnu.engines.chat import question, render
from xlnu.engines.vllm import ERROR, answer, gathered, processor, request
from xlnu.tiny.build import Built


@pytest.mark.usefixtures("ray_here")
def test_ray_builds_the_pipeline_that_our_settings_ask_for(tiny: Built) -> None:
    built = processor(str(tiny.llm), gpus=2, actors=3, compute="float16", batch=64)
    assert built.list_stage_names() == ["vLLMEngineStage"], "tokens go in and text comes out: no stage beside it"
    stage = built.get_stage_by_name("vLLMEngineStage")
    engine, placed = stage.fn_constructor_kwargs, stage.map_batches_kwargs
    assert engine["model"] == str(tiny.llm)
    assert engine["engine_kwargs"] | {"dtype": "float16", "tensor_parallel_size": 2} == engine["engine_kwargs"]
    assert engine["should_continue_on_error"]
    assert (placed["compute"].min_size, placed["compute"].max_size) == (3, 3)
    assert placed["runtime_env"] == {"pip": [f"ray[llm]=={ray.__version__}"]}


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
