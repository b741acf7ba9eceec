"""vLLM, through ray.data.llm: for GPUs, and in an environment of its own, for it cannot share ours.

Ray Data runs this engine itself and batches across rows, so rows flow through it; other engines take a part at
a time. What cannot be seen without a GPU: the engine at work. The pipeline before it and its settings are checked.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from xlnu.cluster.pools import Placed
from xlnu.engines.base import Answer, Decoding, Question
from xlnu.engines.chat import render
from xlnu.engines.checkpoint import Checkpoint

ERROR = "__inference_error__"  # ray.data.llm's own name for what one row failed of


def processor(checkpoint: Checkpoint, placed: Placed, compute: str, batch: int) -> Any:
    """A callable from a dataset of `request` rows to one of answered rows. Each engine fetches the model itself."""
    import ray
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    config = vLLMEngineProcessorConfig(
        model_source=checkpoint.name,
        engine_kwargs={
            **({"revision": checkpoint.revision} if checkpoint.revision else {}),
            "dtype": compute,
            "tensor_parallel_size": placed.gpus,
            "enable_prefix_caching": True,  # the template's beginning is the same in every prompt
        },
        concurrency=(placed.actors, placed.actors),  # one number would let the pool begin with a single engine
        placement_group_config={"bundle_per_worker": {"CPU": 1, "GPU": 1, **placed.resources}},
        batch_size=batch,
        # each Ray is made for one vLLM, and its extra names which
        runtime_env={"pip": [f"ray[llm]=={ray.__version__}"]},
        should_continue_on_error=True,  # one row too long for the model is that row's matter
        chat_template_stage=False,  # `request` has made tokens of it, as for every other engine
        tokenize_stage=False,
        detokenize_stage=False,
        log_engine_metrics=False,
    )
    return build_processor(config, preprocess=dict, postprocess=dict)


def request(tokenizer: Any, question: Question, decoding: Decoding) -> dict[str, Any]:
    """What ray.data.llm takes of a row."""
    (ids,) = render(tokenizer, [question])
    drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p, "seed": question.seed % 2**63}
    return {"tokenized_prompt": ids, "sampling_params": {"max_tokens": decoding.max_new_tokens, **drawn}}


def answer(row: dict[str, Any], decoding: Decoding) -> Answer:
    """What it gives back. It does not say why an answer ended: one of full length counts as cut off."""
    if row.get(ERROR):
        return Answer("", 0, False, "refused by vLLM")
    tokens = int(row["num_generated_tokens"])
    return Answer(str(row["generated_text"]).strip(), tokens, tokens >= decoding.max_new_tokens)


def gathered(rows: Iterator[dict[str, Any]], sizes: Sequence[int]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Rows come back in any order, marked with `part` and `place`: a part is given as soon as it is whole."""
    waiting: dict[int, dict[int, dict[str, Any]]] = {}
    for row in rows:
        part = waiting.setdefault(int(row["part"]), {})
        part[int(row["place"])] = row
        if len(part) == sizes[int(row["part"])]:
            yield int(row["part"]), [waiting[int(row["part"])][place] for place in sorted(part)]
            del waiting[int(row["part"])]
