"""How well models align the languages of tiny worlds, layer by layer: the step and what it reads off a model."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.stack.stacks import FAMILIES, alone, llm, reader, stack
from xlnu import steps
from xlnu.cluster.pools import GeneratorPool, Placed
from xlnu.engines.checkpoint import Checkpoint, find
from xlnu.errors import UserError
from xlnu.evaluate import alignment, flores, probe_plots, probes
from xlnu.evaluate import layers as at_work
from xlnu.evaluate.layers import every_layer
from xlnu.evaluate.probes import Kind, ProbeConfig
from xlnu.evaluate.said import Elsewhere
from xlnu.languages import Language, declare, resolve
from xlnu.mtllm.trained import save
from xlnu.progress import Display
from xlnu.report.document import Resource
from xlnu.stack.fit import fit
from xlnu.stack.inputs import padded
from xlnu.stack.model import StackModel
from xlnu.steps import Part, Result, Step
from xlnu.store import Store
from xlnu.tiny.build import Built
from xlnu.train import tuned
from xlnu.train.tuned import LoraConfig

SOURCE = resolve("eng_Latn")
PLACED = Placed(1, 1, 0)
Row = dict[str, Any]


def languages(built: Built) -> list[Language]:
    told = json.loads((built.data / "languages.json").read_text())
    return [declare(one["code"], one["name"]) for one in told if one["code"] != SOURCE.code]


def drawn(model: Any) -> None:
    """No weight of an adapter is 0."""
    torch.manual_seed(7)
    for name, one in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(one, std=0.2)


def stacked(place: Path, built: Built, *, lora: bool = False, **about: Any) -> tuple[Checkpoint, StackModel]:
    model = stack(str(built.mt), about.pop("llm", str(built.llm)), **about)
    if lora:
        model.llm = tuned.adapted(model.llm, LoraConfig(rank=4), "align", "FEATURE_EXTRACTION")
        drawn(model)
    model.eval()  # type: ignore[no-untyped-call]
    reads = model.config.llm["name"] if about.get("view") == "llm" else str(built.mt)
    save(model, place, reads, "# A card\n")
    return find("model", str(place)), model


def adapter(place: Path, built: Built, **about: Any) -> Checkpoint:
    below: Any = AutoModelForCausalLM.from_pretrained(built.llm)
    lora = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj", "up_proj"], task_type="CAUSAL_LM", **about)
    model: Any = peft.get_peft_model(below, lora)
    drawn(model)
    model.save_pretrained(place)
    return find("model", str(place))


def probed(
    model: Checkpoint,
    kind: Kind,
    pairs: dict[Language, list[tuple[str, str]]],
    base: Checkpoint | None = None,
    batch_tokens: int = 4096,
) -> list[Row]:
    """The rows, made here and not by an actor."""
    given = probes._Given(model, base, kind, Elsewhere({}), batch_tokens)
    layers = [(part, layer, count) for part, count in probes._counts(given).items() for layer in range(count + 1)]
    stage, each = probes._Probe(given, SOURCE, pairs, layers, PLACED), len(layers)
    parts = [Part(at, at * each, (at + 1) * each) for at in range(len(pairs))]
    return [row for part in parts for row in stage("aligned", part)[0].to_pylist()]


def pairs(built: Built, few: Sequence[Language], n: int = 100) -> dict[Language, list[tuple[str, str]]]:
    return {one: flores.pairs(built.data / "flores", "dev", SOURCE, one)[:n] for one in few}


def settings(folder: Path, **about: Any) -> ProbeConfig:
    config = ProbeConfig(pool=GeneratorPool(actors=1, cpus=1))
    config.flores = str(folder)
    return dataclasses.replace(config, **about)


def planned(
    model: Checkpoint | Step,
    kind: Kind,
    config: ProbeConfig,
    few: Sequence[Language],
    base: Checkpoint | None = None,
) -> Step:
    return probes.step("probed", model, base, kind, Elsewhere({}), config, SOURCE, few)


def made(folder: Path, *todo: Step) -> Result:
    return steps.run(todo, Store(str(folder)), Display())[todo[-1].address]


def of(rows: Sequence[Row], metric: str, part: str, layer: int) -> list[float]:
    return [row[metric] for row in rows if (row["part"], row["layer"]) == (part, layer)]


# ------------------------------------------------------------------------------------------------- the step


@pytest.mark.usefixtures("ray_here")
def test_every_row_is_there_once_and_made_once(tiny: Built, tmp_path: Path) -> None:
    few = languages(tiny)[:3]
    model, _ = stacked(tmp_path / "stack", tiny)
    step = planned(model, "stack", settings(tiny.data / "flores", sentences=10), few)
    result = made(tmp_path / "store", step)
    rows = result.table().to_pylist()
    layers = [(part, layer) for part in ("encoder", "llm") for layer in range(3)]
    assert [(row["language"], row["part"], row["layer"]) for row in rows] == [
        (one.label, *layer) for one in few for layer in layers
    ]
    assert {row["n"] for row in rows} == {10}
    assert {row["depth"] for row in rows} == {0.0, 0.5, 1.0}
    assert [row["fvu"] is not None for row in rows] == [layer == ("llm", 2) for _ in few for layer in layers]
    assert result.manifest.rows_in == result.manifest.rows_out == len(rows)
    assert len(result.paths()) == len(few), "a part a language"
    assert made(tmp_path / "store", step).skipped
    # a run that was killed before the last language
    place = tmp_path / "store" / step.address
    (place / "manifest.json").unlink()
    (place / "000002.parquet").unlink()
    before = {path.name: path.stat().st_mtime_ns for path in place.glob("*.parquet")}
    again = made(tmp_path / "store", step)
    assert again.table().equals(result.table())
    assert {name: (place / name).stat().st_mtime_ns for name in before} == before


@pytest.mark.usefixtures("ray_here")
def test_a_model_of_a_step_is_read_from_there(tiny: Built, tmp_path: Path) -> None:
    few, (model, _) = languages(tiny)[:1], stacked(tmp_path / "stack", tiny)

    def put(work: Any) -> int:
        for path in Path(model.name).rglob("*"):
            if path.is_file():
                work.write_part.store.put(f"{work.write_part.address}/{path.relative_to(model.name)}", path)
        return 0

    own, config = Step("model", {}, put), settings(tiny.data / "flores", sentences=8)
    found = made(tmp_path / "store", own, planned(own, "stack", config, few)).table()
    assert found.equals(made(tmp_path / "store", planned(model, "stack", config, few)).table())


def test_an_address_is_made_of_all_that_changes_a_number(tiny: Built, tmp_path: Path) -> None:
    few, model = languages(tiny)[:2], find("model", str(tiny.llm))
    place = tmp_path / "flores"
    shutil.copytree(tiny.data / "flores", place)

    def address(kind: Kind = "llm", base: Checkpoint | None = None, some: Any = few, **about: Any) -> str:
        return planned(model, kind, settings(place, **about), some, base).address

    first = address()
    assert first == address(batch_tokens=1)
    assert first == planned(model, "llm", settings(tiny.data / "flores"), few).address
    assert len({first, address("adapter", model), address(some=few[:1]), address(sentences=7)}) == 4
    assert address("adapter", model) != address("adapter", find("base", str(tiny.mt)))
    assert first not in (address(some=few[::-1]), address(some=[*few, resolve("ukr_Cyrl")]))
    assert address(split="devtest") != first
    on_gpus = GeneratorPool()
    on_gpus.gpus = 1  # in the model's own numbers
    assert address(pool=on_gpus) != first
    path = flores.place(place, "dev", few[1])
    path.write_text(f"x{path.read_text()}")
    assert address() != first


def test_what_is_not_there_is_said(tiny: Built, tmp_path: Path) -> None:
    model, few = find("model", str(tiny.llm)), languages(tiny)[:2]
    with pytest.raises(UserError, match=r"eng_Latn\.dev: no such file, and it is the source language's"):
        planned(model, "llm", settings(tmp_path), few)
    (tmp_path / "dev").mkdir()
    shutil.copy(tiny.data / "flores/dev/eng_Latn.dev", tmp_path / "dev")
    with pytest.raises(UserError, match="there is no file for qaa_Latn, qab_Cyrl"):
        planned(model, "llm", settings(tmp_path), few)


@pytest.mark.usefixtures("ray_here")
def test_a_language_that_cannot_be_read_is_rejected_and_counted(tiny: Built, tmp_path: Path) -> None:
    """FLORES lacks the first, the encoder the second; an LLM takes any text."""
    place, known = tmp_path / "flores", languages(tiny)[0]
    shutil.copytree(tiny.data / "flores", place)
    strange = resolve("swh_Latn")
    shutil.copy(flores.place(place, "dev", known), flores.place(place, "dev", strange))
    few, config = [resolve("ukr_Cyrl"), strange, known], settings(place, sentences=8)
    model, _ = stacked(tmp_path / "stack", tiny)
    result = made(tmp_path / "store", planned(model, "stack", config, few))
    assert result.manifest.rejected == {
        "FLORES does not have the language": 6,
        "the encoder does not know the language": 6,
    }
    assert result.manifest.rows_out == 6
    assert {row["mexa"] for row in result.table().to_pylist() if row["reject"]} == {None}
    alone = made(tmp_path / "store", planned(find("model", str(tiny.llm)), "llm", config, few[1:]))
    assert alone.manifest.rejected == {}
    one, other = ([row["retrieval"] for row in alone.table().to_pylist()][at : at + 3] for at in (0, 3))
    assert one == other


# ------------------------------------------------------------------------------------- what is read off a model


def by_hand(folder: Path, text: str, adapter: Path | None = None) -> list[Tensor]:
    """As MEXA's own code reads a sentence: alone, all layers, each token by its position."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
    model: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    if adapter:
        model = peft.PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        layers = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
    weights = torch.arange(1, layers[0].shape[1] + 1)
    return [(layer[0] * weights[:, None]).sum(0) / weights.sum() for layer in layers]


@pytest.mark.parametrize("with_adapter", [False, True])
def test_an_llm_is_read_as_mexa_reads_it(with_adapter: bool, tiny: Built, tmp_path: Path) -> None:
    texts = [text for _, text in pairs(tiny, languages(tiny)[:1], 6)[languages(tiny)[0]]]
    place = Path(adapter(tmp_path / "adapter", tiny).name) if with_adapter else None
    model = at_work.Llm(str(tiny.llm), str(place) if place else None, 0, 64)
    found = model.read(texts, SOURCE).layers["llm"]
    right = torch.stack([torch.stack(by_hand(tiny.llm, text, place)) for text in texts], 1)
    torch.testing.assert_close(found.float(), right, atol=1e-5, rtol=1e-5)


def test_an_adapter_is_not_its_base(tiny: Built, tmp_path: Path) -> None:
    base, some = find("base", str(tiny.llm)), pairs(tiny, languages(tiny))
    plain = probed(base, "llm", some)
    adapted = probed(adapter(tmp_path / "adapter", tiny), "adapter", some, base)
    assert [row["id"] for row in plain] == [row["id"] for row in adapted]
    assert of(plain, "retrieval", "llm", 0) == of(adapted, "retrieval", "llm", 0), "it has no part in embeddings"
    texts = ["the boy sees the old horse."]
    one, other = (
        at_work.Llm(base.name, place, 0, 64).read(texts, SOURCE).layers["llm"]
        for place in (None, str(tmp_path / "adapter"))
    )
    assert torch.equal(one[0], other[0])
    assert float((one[1:] - other[1:]).abs().amax((1, 2)).min()) > 1e-2


@pytest.mark.parametrize("wrong", ["of another shape", "half of it", "a prompt"])
def test_what_is_no_adapter_of_the_llm_is_refused(wrong: str, tiny: Built, tmp_path: Path) -> None:
    base, place = str(tiny.llm), tmp_path / "adapter"
    if wrong == "a prompt":
        about = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
        peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), about).save_pretrained(str(place))
    else:
        adapter(place, tiny)
    if wrong == "of another shape":
        base = llm("Llama", tiny, tmp_path)
    if wrong == "half of it":
        told = json.loads((place / "adapter_config.json").read_text())
        told["target_modules"].append("o_proj")
        (place / "adapter_config.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match="changes no layer" if wrong == "a prompt" else "is no adapter of this LLM"):
        at_work.Llm(base, str(place), 0, 64)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_llms_is_read(family: str, tiny: Built, tmp_path: Path) -> None:
    """Alone, and in a stack that reads inside its layers."""
    place, texts = llm(family, tiny, tmp_path), ["the boy sees the old horse.", "the man"]
    found = at_work.Llm(place, None, 0, 64).read(texts, SOURCE).layers["llm"]
    right = torch.stack([torch.stack(by_hand(Path(place), text)) for text in texts], 1)
    torch.testing.assert_close(found.float(), right, atol=1e-5, rtol=1e-5)
    model, _ = stacked(tmp_path / "stack", tiny, llm=place, fusion="layer_kv")
    some = probed(model, "stack", pairs(tiny, languages(tiny)[:1]))
    assert [row["layer"] for row in some if row["part"] == "llm"] == [0, 1, 2, 3]
    assert some[-1]["fvu"] > 0


def test_an_encoder_in_the_llms_place_is_read(tiny: Built, tmp_path: Path) -> None:
    """It reads in both directions, whatever the stack's attention is called."""
    place = alone("XLMRoberta", tiny, tmp_path)
    model, _ = stacked(tmp_path / "stack", tiny, llm=place, view="llm", attention="causal")
    opened, text = at_work.Stack(model.name, {}, 0, 64), "the boy sees the old horse."
    plain: Any = opened.model
    with torch.no_grad():
        said = plain(*padded(opened.reader.read([[text]], [SOURCE]), 1))
    right = said.last_hidden_state[0].mean(0)
    torch.testing.assert_close(opened.read([text], SOURCE).layers["llm"][-1, 0].float(), right)
    assert of(probed(model, "stack", pairs(tiny, languages(tiny)[:1])), "fvu", "llm", 3)[0] > 0


@pytest.mark.parametrize(
    ("about", "parts"),
    [
        ({}, ["encoder", "llm"]),
        ({"fusion": "layer_kv"}, ["encoder", "llm"]),
        ({"fusion": "layer_mix", "code": "drop", "attention": "causal"}, ["encoder", "llm"]),
        ({"fusion": "mlp", "fusion_width": 16, "lora": True}, ["encoder", "llm"]),
        ({"fusion": "end_token", "task": "choice", "labels": None}, ["encoder", "llm"]),
        ({"view": "dual"}, ["encoder", "llm"]),
        ({"view": "llm", "attention": "causal", "lora": True}, ["llm"]),
        ({"view": "encoder"}, ["encoder"]),
    ],
)
def test_layers_of_a_stack_are_those_it_reads_with(
    about: dict[str, Any], parts: list[str], tiny: Built, tmp_path: Path
) -> None:
    """What is caught ends where the stack ends, of one sentence at a time; and catching it changes nothing."""
    model, _ = stacked(tmp_path / "stack", tiny, **about)
    opened = at_work.Stack(model.name, {}, 0, 100)
    language = languages(tiny)[0]
    texts = [text for _, text in pairs(tiny, [language], 5)[language]]
    read = opened.read(texts, language)
    assert list(read.layers) == parts
    assert {part: len(one) for part, one in read.layers.items()} == dict.fromkeys(parts, 3)
    assert read.pooled is not None
    plain: Any = opened.model
    for at, text in enumerate(texts):
        given = padded(opened.reader.read([[text]], [language]), 1)
        more = padded(opened.text.read([[text]], [language]), 1) if opened.text else ()
        with torch.no_grad():
            said = plain(*given, *more)
        torch.testing.assert_close(read.pooled[at], said.pooled[0, 0], atol=1e-5, rtol=1e-5)
        last, mask = said.last_hidden_state, said.attention_mask
        over = alignment.weighted if about.get("attention") == "causal" else alignment.mean
        if "llm" in parts:
            torch.testing.assert_close(read.layers["llm"][-1, at], over(last, mask)[0], atol=1e-5, rtol=1e-5)
        if "encoder" in parts:
            with torch.no_grad():
                layers = plain.encoder(given[0], output_hidden_states=True).hidden_states
            right = torch.stack([one[0].mean(0) for one in layers])
            torch.testing.assert_close(read.layers["encoder"][:, at].float(), right, atol=1e-5, rtol=1e-5)
        if parts == ["llm"]:
            torch.testing.assert_close(
                read.layers["llm"][0, at], over(plain.llm.get_input_embeddings()(given[0]), mask)[0]
            )


def test_a_layer_is_what_the_next_one_reads(tiny: Built, tmp_path: Path) -> None:
    _, model = stacked(tmp_path / "stack", tiny, lora=True, fusion="layer_kv")
    ids, mask, _ = padded(reader(model, str(tiny.mt)).read([["the boy sees the old horse."]], ["eng_Latn"]), 1)
    inner: Any = model.llm.get_base_model()
    seen = list[Tensor]()
    hooks = [one.register_forward_pre_hook(lambda _module, args: seen.append(args[0])) for one in inner.layers]
    with torch.no_grad(), every_layer(model.llm) as caught:
        last = model(ids, mask).last_hidden_state
    for hook in hooks:
        hook.remove()
    assert len(caught) == 3
    for found, right in zip(caught, [*seen, last], strict=True):
        assert torch.equal(found, right)
    assert not model.llm._forward_hooks, "nothing is left behind"
    assert not model.llm._forward_pre_hooks


def test_a_stack_of_a_task_reads_sentences_as_one_without(tiny: Built, tmp_path: Path) -> None:
    some = pairs(tiny, languages(tiny)[:2])
    one, model = stacked(tmp_path / "words", tiny, task="tokens")
    other, plain = stacked(tmp_path / "none", tiny, task=None, labels=None)
    plain.fusion.load_state_dict(model.fusion.state_dict())
    save(plain, tmp_path / "none", str(tiny.mt), "")
    assert probed(one, "stack", some) == probed(find("model", other.name), "stack", some)


def test_neither_the_order_of_sentences_nor_the_batch_changes_a_number(able: Built, tmp_path: Path) -> None:
    some = pairs(able, languages(able)[2:4], 60)
    model, _ = stacked(tmp_path / "stack", able)
    right = probed(model, "stack", some)
    turned = {one: [each[i] for i in range(59, -1, -1)] for one, each in some.items()}
    for found in (probed(model, "stack", turned), probed(model, "stack", some, batch_tokens=1)):
        for row, same in zip(found, right, strict=True):
            assert row == pytest.approx(same, abs=1e-5)
    assert len({row["mexa"] for row in right}) > 6, "else the test shows little"


def test_a_sentence_that_stands_there_twice_ties(tiny: Built) -> None:
    language = languages(tiny)[0]
    texts = ["the boy sees the old horse.", "a baker buys a red plum.", "the man sees the boy."]
    model = find("model", str(tiny.llm))
    same = [(text, text) for text in texts]
    assert of(probed(model, "llm", {language: same}), "mexa", "llm", 2) == [1.0]
    rows = probed(model, "llm", {language: [*same, (texts[0], texts[0])]})
    assert of(rows, "mexa", "llm", 2) == of(rows, "retrieval", "llm", 2) == [0.5]
    opened = at_work.Llm(model.name, None, 0, 1)
    twice = [" ".join(texts), texts[0], texts[0], "x"]  # one beside a long text, the other in the next batch
    opened.batch_tokens = 2 * len(opened.tokenizer(twice[0])["input_ids"])
    assert torch.equal(*at_work.distinct(opened, twice, SOURCE).layers["llm"][:, 1:3].unbind(1))


def test_the_source_language_is_read_as_such(tiny: Built, tmp_path: Path) -> None:
    """A text in the source language that is read as if it were another has other states."""
    model, _ = stacked(tmp_path / "stack", tiny)
    texts = ["the boy sees the old horse.", "a baker buys a red plum.", "the man sees the boy."]
    opened, (one, *_) = at_work.Stack(model.name, {}, 0, 100), languages(tiny)
    given = probes._Given(model, None, "stack", Elsewhere({}), 100)
    stage = probes._Probe(given, SOURCE, {one: [(text, text) for text in texts]}, [("encoder", 0, 2)], PLACED)
    for part, states in opened.read(texts, SOURCE).layers.items():
        assert torch.equal(stage.source.layers[part], states)
        assert not torch.equal(opened.read(texts, one).layers[part], states)
    assert stage.taught is not None
    assert torch.equal(stage.taught, opened.taught(texts, SOURCE))  # type: ignore[arg-type]


def test_what_is_longer_than_a_model_reads_is_cut(tiny: Built, tmp_path: Path) -> None:
    model, _ = stacked(tmp_path / "stack", tiny, length=8)
    opened = at_work.Stack(model.name, {}, 0, 100)
    long = "the boy sees the old horse and the man sees the boy."
    (whole,), (cut,) = opened.reader.read([[long]], [SOURCE]), opened._tokens(opened.reader, [long], SOURCE)
    assert len(whole.ids) > 8
    assert cut.ids == [*whole.ids[:7], whole.ids[-1]]
    assert opened.read([long], SOURCE).tokens == 8
    alone = at_work.Llm(str(tiny.llm), None, 0, 100)
    assert alone.longest == alone.model.config.max_position_embeddings
    endless = alone.read([" ".join([long] * 100)], SOURCE)
    assert endless.tokens == alone.longest
    assert bool(endless.layers["llm"].isfinite().all())


# --------------------------------------------------------------------------------------------------------- FVU


def test_fvu_holds_a_stack_against_its_llm_without_the_adapter(tiny: Built, tmp_path: Path) -> None:
    language = languages(tiny)[0]
    texts = [text for text, _ in pairs(tiny, [language])[language]]
    same = {language: [(text, text) for text in texts]}
    alone, _ = stacked(tmp_path / "alone", tiny, view="llm")
    adapted, model = stacked(tmp_path / "adapted", tiny, view="llm", lora=True)
    assert of(probed(alone, "stack", same), "fvu", "llm", 2) == pytest.approx([0.0], abs=1e-9)
    (found,) = of(probed(adapted, "stack", same), "fvu", "llm", 2)
    tokens = padded(
        reader(model, str(tiny.llm), "llm").read([[text] for text in texts], ["eng_Latn"] * len(texts)), 0
    )
    lm: Any = model.llm
    with torch.no_grad():
        said: Any = model(*tokens).pooled
        with lm.disable_adapter():
            taught: Any = model(*tokens).pooled
    right = ((said - taught) ** 2).sum() / ((taught - taught.mean(0)) ** 2).sum()
    assert found > 0.01
    assert found == pytest.approx(float(right), rel=1e-4)


def test_there_is_no_fvu_where_there_is_no_teacher(tiny: Built, tmp_path: Path) -> None:
    """An encoder alone has none, and what an adapter was merged into is not the LLM it was taught by."""
    from xlnu.stack import artefact

    some = pairs(tiny, languages(tiny)[:1])
    encoder, _ = stacked(tmp_path / "encoder", tiny, view="encoder")
    both, _ = stacked(tmp_path / "stack", tiny, lora=True)
    artefact.merge(both.name, tmp_path / "merged")
    merged = probed(find("model", str(tmp_path / "merged")), "stack", some)
    whole = probed(both, "stack", some)
    for one, other in zip(merged, whole, strict=True):
        assert one | {"fvu": None} == pytest.approx(other | {"fvu": None}, abs=0.05)
    assert [row["fvu"] for row in merged] == [None] * 6
    assert whole[-1]["fvu"] > 0
    assert [row["fvu"] for row in probed(encoder, "stack", some)] == [None] * 3


# ------------------------------------------------------------------------------------- a world that knows things


def test_a_translator_aligns_languages_and_an_llm_of_one_language_does_not(able: Built, tmp_path: Path) -> None:
    """Chance is .01. The encoder's numbers are near those that the world's own report has of other sentences."""
    some = pairs(able, languages(able))
    model, _ = stacked(tmp_path / "stack", able)
    both, alone = probed(model, "stack", some), probed(find("model", str(able.llm)), "llm", some)
    (depth,) = {row["layer"] for row in both if row["part"] == "encoder" and row["depth"] == 1}
    found = of(both, "retrieval", "encoder", depth)
    for one, right in zip(found, able.numbers["retrieval_at_1"].values(), strict=True):
        assert one == pytest.approx(right, abs=0.15)
    assert min(found) > 0.7
    assert min(of(both, "mexa", "encoder", depth)) > 0.5
    assert max(row["retrieval"] for row in alone if row["layer"] > 0) <= 0.05
    assert max(row["mexa"] for row in alone) <= 0.05
    read = of(both, "retrieval", "llm", 0)
    assert min(read) > 0.6, "and so the LLM is given what is aligned, whatever the fusion"


def test_fvu_of_a_fitted_stack_is_lower_where_there_is_more_text(able: Built, tmp_path: Path) -> None:
    texts = flores.sentences(able.data / "flores", "devtest", SOURCE)
    assert texts is not None
    fresh, model = stacked(tmp_path / "fresh", able, fusion="mlp", fusion_width=1024)
    fit(model, reader(model, str(able.mt)), reader(model, str(able.llm), "llm"), texts, 0)
    save(model, tmp_path / "fitted", str(able.mt), "")
    known = languages(able)
    some = pairs(able, [*known[:2], *known[-2:]])
    before, after = (
        [row["fvu"] for row in probed(find("model", str(tmp_path / name)), "stack", some) if row["fvu"]]
        for name in (Path(fresh.name).name, "fitted")
    )
    assert len(after) == 4
    assert 1.25 * max(after[:2]) < min(after[2:]), after  # the world is not the same on every processor
    assert max(after) < min(before)


# ---------------------------------------------------------------------------------------------- what is shown


def rows(labels: Sequence[str], parts: Sequence[str] = ("encoder", "llm")) -> list[Row]:
    return [
        {
            "reject": None, "language": label, "part": part, "layer": layer, "depth": layer / 2, "n": 9,
            "mexa": (at + layer) / 100, "retrieval": (at + layer) / 50,
            "fvu": 1 / (at + 1) if (part, layer) == ("llm", 2) else None,
        }
        for at, label in enumerate(labels) for part in parts for layer in range(3)
    ]  # fmt: skip


def test_few_languages_have_a_line_each() -> None:
    levels: dict[str, Resource] = {"qab": "low", "eng": "source", "qaa": "high"}
    refused = {"reject": "none", "language": "qac", "part": "llm", "layer": 0, "mexa": None, "fvu": None}
    mexa, retrieval, fvu = probe_plots.plots([*rows(["qaa", "qab"]), refused], "stack", levels | {"qac": "mid"})
    assert {one.section for one in (mexa, retrieval, fvu)} == {"Alignment by layer"}
    assert [one.title for one in (mexa, retrieval, fvu)] == [
        "stack: MEXA", "stack: retrieval@1", "stack: FVU by language",
    ]  # fmt: skip
    assert [series.name for series in mexa.series] == ["qab", "qaa"], "as the levels have them"
    assert [point[0] for point in mexa.series[0].points] == [-1, -0.5, 0, 0, 0.5, 1]
    assert [point[1] for point in mexa.series[1].points] == [0, 0.01, 0.02, 0, 0.01, 0.02]
    assert retrieval.series[0].points[1][1] == pytest.approx(0.04)
    assert {series.name: series.points for series in fvu.series} == {
        "qab": [[1, 0.5, None, None]],
        "qaa": [[2, 1, None, None]],
    }


def test_of_many_languages_there_is_the_mean_of_each_level() -> None:
    labels = [f"l{at}" for at in range(10)]
    levels: dict[str, Resource] = {label: "low" if at % 2 else "high" for at, label in enumerate(labels)}
    mexa, _, fvu = probe_plots.plots(rows(labels), "stack", levels)
    assert [series.name for series in mexa.series] == ["high", "low"]
    assert mexa.series[0].points[1] == [-0.5, pytest.approx(sum([1, 3, 5, 7, 9]) / 5 / 100), None, None]
    assert [[point[0] for point in series.points] for series in fvu.series] == [[2, 4, 6, 8, 10], [1, 3, 5, 7, 9]]


def test_one_part_has_a_depth_of_its_own() -> None:
    found = probe_plots.plots(rows(["qaa"], ["encoder"]), "encoder", {"qaa": "high"})
    assert [plot.title for plot in found] == ["encoder: MEXA", "encoder: retrieval@1"]
    assert found[0].x == "depth"
    assert [point[0] for point in found[0].series[0].points] == [0, 0.5, 1]
