"""Two experts merged on disk, against the same merge in memory; and what is refused."""

import json
import resource
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from xlnu.config import load
from xlnu.engines.checkpoint import find
from xlnu.errors import Halt, UserError
from xlnu.merge import weights
from xlnu.merge.job import MergeConfig, work
from xlnu.run import Run

SHAPE = {
    "vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 6, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama": (LlamaConfig, SHAPE),
    "llama_tied": (LlamaConfig, SHAPE | {"tie_word_embeddings": True}),
    "qwen2": (Qwen2Config, SHAPE),  # has biases
    "gemma2": (Gemma2Config, SHAPE | {"head_dim": 8}),  # has four norms a layer, and is tied
}
AUTO_MODEL: Any = AutoModelForCausalLM
AUTO_TOKENIZER: Any = AutoTokenizer
FAST_TOKENIZER: Any = PreTrainedTokenizerFast
ATTENTION, MLP = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")
SMALL = "shard_size=0.00003"  # 30 kB: a merged model is several files
WORDS = {"<unk>": 0, "paka": 1, "amelala": 2}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def model(kind: str, seed: int, **changes: object) -> Any:
    """One base a kind, and with a seed an expert of it: every tensor is another, by layer more or less so."""
    torch.manual_seed(0)
    config_class, shape = KINDS[kind]
    made = AUTO_MODEL.from_config(config_class(**shape | changes))
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters() if seed else ():
            parameter += torch.randn_like(parameter) * 0.02 * torch.rand(1)
    return made


def saved(folder: Path, kind: str, seed: int, dtype: torch.dtype = torch.bfloat16, shard: str = "5GB") -> Path:
    model(kind, seed).to(dtype).save_pretrained(folder, max_shard_size=shard)
    return folder


def with_tokenizer(folder: Path, words: dict[str, int] = WORDS, template: str = "{{ messages }}") -> None:
    made = FAST_TOKENIZER(tokenizer_object=Tokenizer(WordLevel(words, "<unk>")), unk_token="<unk>")
    made.chat_template = template
    made.save_pretrained(folder)


def run(out: str, plan: bool, given: Mapping[str, object]) -> None:
    config = load(MergeConfig, None, [f"run.dir={out}", *(f"{key}={value}" for key, value in given.items())])
    work(config, Run("merge", config, plan))


def merge(out: Path, **given: object) -> Path:
    run(str(out), False, given)
    return out / "model"


def opened(folder: Path) -> Any:
    """As transformers opens it, and nothing in it is too much, missing or of another shape."""
    made, about = AUTO_MODEL.from_pretrained(folder, dtype="auto", output_loading_info=True)
    assert not any(about.values()), about
    return made


def projections(layer: Any) -> list[torch.Tensor]:
    modules = [getattr(layer.self_attn, name) for name in ATTENTION] + [getattr(layer.mlp, name) for name in MLP]
    return [module.weight.detach() for module in modules]


def shares(expert: Any, base: Any) -> list[float]:
    """The rule of `adaptive`, on models in memory."""
    r = []
    for layer, of_base in zip(expert.model.layers, base.model.layers, strict=True):
        pairs = [(a.float(), b.float()) for a, b in zip(projections(layer), projections(of_base), strict=True)]
        r.append(sum(float((a - b).norm() / b.norm()) for a, b in pairs))
    return [each / sum(r) for each in r]


def in_memory(language: Any, task: Any, share_of_task: list[float], rest: float) -> dict[str, torch.Tensor]:
    expected = {}
    others = task.state_dict()
    for name, a in language.state_dict().items():
        share = share_of_task[int(name.split(".")[2])] if ".layers." in name else rest
        expected[name] = {0: a, 1: others[name], 0.5: ((a.float() + others[name].float()) / 2).to(a.dtype)}[share]
    return expected


def assert_same(found: Any, expected: dict[str, torch.Tensor]) -> None:
    tensors = found.state_dict()
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor), name


@pytest.mark.parametrize(("kind", "cut"), [(kind, kind != "qwen2") for kind in KINDS] + [("llama", False)])
def test_it_equals_a_merge_in_memory(tmp_path: Path, kind: str, cut: bool) -> None:
    shard, size = ("20KB", SMALL) if cut else ("5GB", "shard_size=1")
    parents = {
        role: saved(tmp_path / role, kind, seed, shard=shard if seed else "5GB")
        for seed, role in enumerate(("base", "language", "task"))
    }
    base, language, task = (AUTO_MODEL.from_pretrained(path, dtype="auto") for path in parents.values())
    given = parents | dict([size.split("=")])

    swapped = merge(tmp_path / "swap", **given, method="swap", bottom=1, top=2, transition=1)
    assert_same(opened(swapped), in_memory(language, task, [0, 0.5, 1, 0.5, 0, 0], rest=0))

    adapted = merge(tmp_path / "adaptive", **given, method="adaptive", threshold=0.01)
    d = [t - s for s, t in zip(shares(language, base), shares(task, base), strict=True)]
    expected = [1 if each > 0.01 else 0 if each < -0.01 else 0.5 for each in d]
    assert len(set(expected)) > 1, "else the test shows little"
    assert_same(opened(adapted), in_memory(language, task, expected, rest=0.5))

    for made in (swapped, adapted):
        assert (
            (len(list(made.glob("*.safetensors"))) > 1) == cut == (made / "model.safetensors.index.json").exists()
        )


def scaled(base: Any, by: list[float]) -> Any:
    """An expert whose every projection of a layer is changed by just so much of its norm."""
    made = model("llama", 0)
    with torch.no_grad():
        for layer, of_base, more in zip(made.model.layers, base.model.layers, by, strict=True):
            for weight, other in zip(projections(layer), projections(of_base), strict=True):
                weight.copy_(other * (1 + more))
    return made


@pytest.mark.parametrize(
    ("threshold", "layers"),
    [
        # by hand: either expert changes 0.8 in all, and where one changes 0.2 and the other 0.1, d is 0.125
        ("", ["language", "language", "task", "task", "half of each", "half of each"]),
        ("threshold=0.124", ["language", "language", "task", "task", "half of each", "half of each"]),
        ("threshold=0.126", ["half of each"] * 6),
    ],
)
def test_a_layer_is_of_who_changed_it_more(tmp_path: Path, threshold: str, layers: list[str]) -> None:
    base = model("llama", 0)
    base.save_pretrained(tmp_path / "base")
    scaled(base, [0.2, 0.2, 0.1, 0.1, 0.1, 0.1]).save_pretrained(tmp_path / "language")
    scaled(base, [0.1, 0.1, 0.2, 0.2, 0.1, 0.1]).save_pretrained(tmp_path / "task")
    given = {role: tmp_path / role for role in ("base", "language", "task")}
    made = merge(tmp_path / "out", **given, method="adaptive", **dict([threshold.split("=")] if threshold else []))
    choice = json.loads((made / "merge.json").read_text())["choice"]
    assert choice["layers"] == layers
    assert choice["language"] == pytest.approx([0.25, 0.25, 0.125, 0.125, 0.125, 0.125], abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("base", ["expert", "base"])
def test_a_model_merged_with_itself_is_itself(tmp_path: Path, dtype: torch.dtype, base: str) -> None:
    expert = saved(tmp_path / "expert", "llama", 1, dtype)
    saved(tmp_path / "base", "llama", 0)  # of another dtype, which a base may have
    before = load_file(expert / "model.safetensors")
    for given in (
        {"method": "swap", "bottom": 1, "top": 1, "transition": 1},
        {"method": "adaptive", "base": tmp_path / base},
    ):
        made = merge(tmp_path / str(given["method"]), language=expert, task=expert, **given)
        after = load_file(made / "model.safetensors")
        assert after.keys() == before.keys()
        for name, tensor in before.items():
            assert after[name].dtype == dtype
            bits = torch.int32 if dtype == torch.float32 else torch.int16
            assert torch.equal(after[name].view(bits), tensor.view(bits)), name


@pytest.mark.parametrize(
    ("depth", "layers"),
    [(3, "LTL"), (6, "LLTTTL"), (32, "L" * 8 + "H" + "T" * 18 + "H" + "L" * 4)],
)
def test_without_numbers_swap_goes_by_the_depth(tmp_path: Path, depth: int, layers: str) -> None:
    for role in ("language", "task"):
        model("llama", 0, num_hidden_layers=depth, hidden_size=8).save_pretrained(tmp_path / role)
    made = merge(tmp_path / "out", language=tmp_path / "language", task=tmp_path / "task")
    record = json.loads((made / "merge.json").read_text())["choice"]
    assert "".join({"language": "L", "task": "T", "half of each": "H"}[each] for each in record["layers"]) == layers
    assert record["rest"] == "language"


def test_without_outer_layers_there_is_no_border(experts: dict[str, Path], tmp_path: Path) -> None:
    made = merge(tmp_path / "out", **experts, bottom=0, top=1, transition=2)
    layers = json.loads((made / "merge.json").read_text())["choice"]["layers"]
    assert layers == ["task"] * 3 + ["half of each"] * 2 + ["language"]


def test_the_files_are_those_that_transformers_writes(experts: dict[str, Path], tmp_path: Path) -> None:
    made = merge(tmp_path / "out", **experts, **dict([SMALL.split("=")]))
    opened(made).save_pretrained(tmp_path / "theirs", max_shard_size="30KB")
    ours, theirs = (
        json.loads((f / "model.safetensors.index.json").read_text()) for f in (made, tmp_path / "theirs")
    )
    assert ours["metadata"] == theirs["metadata"]
    assert ours["weight_map"].keys() == theirs["weight_map"].keys()
    named = sorted(set(ours["weight_map"].values()))
    assert named == [f"model-{i:05d}-of-{len(named):05d}.safetensors" for i in range(1, len(named) + 1)]
    assert sorted(path.name for path in made.glob("*.safetensors")) == named
    assert all(path.stat().st_size < 34_000 for path in made.glob("*.safetensors")), "30 kB, and the names in it"
    assert len({path.stat().st_mode for path in made.iterdir()}) == 1, "who may read one file may read all"


def test_how_the_experts_files_are_cut_changes_nothing(tmp_path: Path) -> None:
    made = []
    for name, shard in (("whole", "5GB"), ("cut", "20KB")):
        experts = {role: saved(tmp_path / name / role, "llama", seed, shard=shard)
                   for seed, role in enumerate(("language", "task"), 1)}  # fmt: skip
        made.append(merge(tmp_path / name / "out", **experts, transition=1, **dict([SMALL.split("=")])))
    one, other = ({path.name: path.read_bytes() for path in folder.glob("*.safetensors")} for folder in made)
    assert one == other


def test_large_tensors_are_computed_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "AT_ONCE", 1000)
    torch.manual_seed(1)
    shapes = {"matrix": (301, 7), "wide": (3, 4001), "row": (2500,)}
    tensors = {role: {name: torch.randn(*shape).bfloat16() for name, shape in shapes.items()} for role in "ab"}
    for role, content in tensors.items():
        (tmp_path / role).mkdir()
        save_file(content, tmp_path / role / "model.safetensors")
    a, b = (weights.Weights(tmp_path / role, role) for role in "ab")
    for name in shapes:
        one, other = tensors["a"][name], tensors["b"][name]
        assert len(list(a.pieces(name))) > 2
        assert torch.equal(weights.half_of_each(a, b, name), ((one.float() + other.float()) / 2).bfloat16())
        expected = (one.float() - other.float()).norm() / other.float().norm()
        assert weights.change(a, b, name) == pytest.approx(expected.item(), rel=1e-5)


def test_a_mean_is_computed_in_float32(tmp_path: Path) -> None:
    for role, value in (("a", 57_344), ("b", 49_152)):  # their sum is beyond float16
        (tmp_path / role).mkdir()
        save_file({"x": torch.full((2,), value, dtype=torch.float16)}, tmp_path / role / "model.safetensors")
    a, b = (weights.Weights(tmp_path / role, role) for role in "ab")
    assert torch.equal(weights.half_of_each(a, b, "x"), torch.full((2,), 53_248, dtype=torch.float16))


# ---------------------------------------------------------------------------------------- what lies beside weights


@pytest.fixture
def experts(tmp_path: Path) -> dict[str, Path]:
    return {role: saved(tmp_path / role, "llama", seed) for seed, role in enumerate(("language", "task"), 1)}


def test_tokenizer_and_template_are_the_language_experts(experts: dict[str, Path], tmp_path: Path) -> None:
    with_tokenizer(experts["language"], template="lugha: {{ messages[0].content }}")
    with_tokenizer(experts["task"])
    (experts["language"] / "trainer_state.json").write_text("{}")
    made = merge(tmp_path / "out", **experts)
    tokenizer = AUTO_TOKENIZER.from_pretrained(made)
    assert tokenizer.get_vocab() == WORDS
    assert tokenizer.apply_chat_template([{"content": "paka"}], tokenize=False) == "lugha: paka"
    own = {"README.md", "merge.json", "model.safetensors"}
    assert {path.name for path in made.iterdir()} == own | {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        "special_tokens_map.json", "chat_template.jinja",
    }  # fmt: skip
    for path in (path for path in made.iterdir() if path.name not in own):
        assert path.read_bytes() == (experts["language"] / path.name).read_bytes()


def test_the_card_tells_what_it_was_made_of(experts: dict[str, Path], tmp_path: Path) -> None:
    for role, licence in (("language", "apache-2.0"), ("task", "llama3.1")):
        (experts[role] / "README.md").write_text(f"---\nlicense: {licence}\n---\nA model.\n")
    made = merge(tmp_path / "out", **experts, bottom=1, top=1, transition=1)
    card = (made / "README.md").read_text()
    for role, licence in (("language", "apache-2.0"), ("task", "llama3.1")):
        assert f"| {role} | {role} | `{find(role, str(experts[role])).content}` | {licence} |" in card
    origins = ["language", "half of each", "task", "task", "half of each", "language"]
    assert "\n".join(f"| {i} | {origin} |" for i, origin in enumerate(origins)) in card
    assert "| embeddings, norm, head | language |" in card
    assert "`bottom=1`, `top=1`, `transition=1`" in card
    assert find("merged", str(made)).licence == "other", "no one licence is that of both"
    (experts["task"] / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    assert find("merged", str(merge(tmp_path / "alike", **experts))).licence == "apache-2.0"


def test_what_old_checkpoints_hold_needlessly_is_left_out(experts: dict[str, Path], tmp_path: Path) -> None:
    tensors = load_file(experts["task"] / "model.safetensors")
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(tensors, experts["task"] / "model.safetensors", {"format": "pt"})
    opened(merge(tmp_path / "out", **experts))


# ---------------------------------------------------------------------------------------- again, and in the way


def test_the_second_run_does_nothing_and_says_so(
    experts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = saved(tmp_path / "base", "llama", 0)
    made = merge(tmp_path / "out", **experts, base=base, method="adaptive")
    first = capsys.readouterr().out
    assert first.splitlines()[-1] == str(made)
    assert len(first.splitlines()) == 1 + 6 + 1 + 1
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    for role in ("language", "task"):  # what moved is still the same
        experts[role] = experts[role].rename(tmp_path / f"moved_{role}")
    merge(tmp_path / "out", **experts, base=base, method="adaptive")
    again = capsys.readouterr()
    assert "nothing was left to do" in again.err
    assert again.out == first
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before
    for other in ({"threshold": 0.1}, {"method": "swap"}, {"task": base}, {"shard_size": 1}):
        with pytest.raises(UserError, match=r"out/model is not this merge, but another: name another run\.dir"):
            merge(tmp_path / "out", **experts | {"base": base, "method": "adaptive"} | other)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_a_plan_shows_the_layers_and_leaves_nothing(
    experts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(f"{tmp_path}/out", True, {**experts, "bottom": 1, "top": 2, "transition": 1})
    assert [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()] == [
        ["layer", "from"],
        ["0", "language"],
        ["1", "half of each"],
        ["2", "task"],
        ["3", "half of each"],
        ["4", "language"],
        ["5", "language"],
        ["embeddings,", "norm, head  language"],
    ]
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_refused(experts: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is something else in it \(config.json\)"):
        merge(experts["language"], **experts)
    (tmp_path / "out" / "model").mkdir(parents=True)
    with pytest.raises(UserError, match="out/model is not this merge, but another"):
        merge(tmp_path / "out", **experts)


def test_object_storage_is_refused(experts: dict[str, Path], s3: str) -> None:
    with pytest.raises(UserError, match="a model is merged into a folder of this machine"):
        run(s3, False, experts)


def test_a_full_disk_is_one_line_and_leaves_nothing(experts: dict[str, Path], tmp_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, most))  # bytes of a file
    try:
        with pytest.raises(Halt, match=r"out/model: cannot be made: .*too large") as broken:
            merge(tmp_path / "out", **experts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert not isinstance(broken.value, UserError)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["_lock"]
    opened(merge(tmp_path / "out", **experts))


# ---------------------------------------------------------------------------------------- what is refused


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """A change of an expert's weights."""

    def applied(folder: Path) -> None:
        content = load_file(folder / "model.safetensors")
        change(content)
        save_file(content, folder / "model.safetensors", {"format": "pt"})

    return applied


def config(**changes: object) -> Callable[[Path], None]:
    """A change of an expert's config.json."""

    def applied(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return applied


def adapter(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "meta-llama/Llama-3.1-8B"}')
    save_file({"x": torch.ones(1)}, folder / "adapter_model.safetensors")


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def cut_off(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def without_a_shard(folder: Path) -> None:
    shutil.rmtree(folder)
    saved(folder, "llama", 2, shard="20KB")
    next(folder.glob("*-00002-of-*")).unlink()


def with_an_old_shard(folder: Path) -> None:
    shutil.rmtree(folder)
    saved(folder, "llama", 2, shard="20KB")
    one, other = sorted(folder.glob("*.safetensors"))[:2]
    shutil.copy(one, other)


def of_kind(kind: str) -> Callable[[Path], None]:
    def applied(folder: Path) -> None:
        shutil.rmtree(folder)
        saved(folder, kind, 2)

    return applied


def tokenizer(words: dict[str, int]) -> Callable[[Path], None]:
    def applied(folder: Path) -> None:
        with_tokenizer(folder.parent / "language")
        with_tokenizer(folder, words)

    return applied


LAYER = "model.layers.3.self_attn.q_proj.weight"
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "shape": (tensors(lambda t: t.update({LAYER: torch.ones(32, 16).bfloat16()})),
              rf"{LAYER} has the shape \[32, 16\], and \[32, 32\] in language: "),
    "missing": (tensors(lambda t: t.pop(LAYER)), f"{LAYER} is missing, which language=.* has"),
    "head": (tensors(lambda t: t.pop("lm_head.weight")), "there is no lm_head.weight, and config.json says"),
    "layers": (config(num_hidden_layers=7), "config.json says 7 layers, and layer 6 of the weights is missing"),
    "fewer": (config(num_hidden_layers=5), "config.json says 5 layers, and layer 5 of the weights is beyond them"),
    "vocabulary": (config(vocab_size=100), "vocab_size is 100 in its config.json, and 99 in language: "),
    "width": (config(hidden_size=64), "hidden_size is 64 in its config.json, and 32 in language: "),
    "positions": (config(rope_theta=5e5), "rope_theta is 500000.0 in its config.json, and 10000.0 in language: "),
    "architecture": (of_kind("qwen2"), "model_type is qwen2 in its config.json, and llama in language: "),
    "ties": (of_kind("llama_tied"), "tie_word_embeddings is True in its config.json, and False in language: "),
    "classifier": (config(architectures=["LlamaForSequenceClassification"]), "no causal LM: the architecture"),
    "unknown": (config(model_type="lama"), "its config.json cannot be read: .*lama"),
    "dtype": (tensors(lambda t: t.update({LAYER: t[LAYER].float()})),
              f"{LAYER} is float32, and bfloat16 in language: .*save both in one dtype"),
    "quantised": (tensors(lambda t: t.update({LAYER: t[LAYER].char()})), f"{LAYER} is I8: quantised weights"),
    "names": (tensors(lambda t: [t.update({f"transformer.{k}": t.pop(k)}) for k in list(t)]),
              r"no tensor is named model\.layers\.N: LlamaForCausalLM cannot be merged"),
    "bin": (pickled, r"its weights are \.bin files, which cannot be read in parts: write safetensors with "),
    "adapter": (adapter, r"is a PEFT adapter: merge it into meta-llama/Llama-3\.1-8B first"),
    "empty": (lambda folder: (folder / "model.safetensors").unlink(), "no weights: neither model.safetensors nor "),
    "cut off": (cut_off, r"model\.safetensors cannot be read: "),
    "shard": (without_a_shard, r"model-00002-of-\d+\.safetensors, which .*index.json names, is missing"),
    "old shard": (with_an_old_shard, r"model-00002-of-\d+\.safetensors and .*index.json do not agree on "),
    "tokenizer": (tokenizer({**WORDS, "mbwa": 3}), "is not that of language: .*: 'mbwa' is 3 here, and not in it"),
    "no tokenizer": (with_tokenizer, "language: .*: has no tokenizer to compare with that of task: "),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_one_line(experts: dict[str, Path], tmp_path: Path, case: str) -> None:
    damage, message = REFUSED[case]
    damage(experts["task"])
    with pytest.raises(UserError, match=message) as refused:
        merge(tmp_path / "out", **experts)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out" / "model").exists()


def test_a_head_of_its_own_in_one_of_two_that_are_tied(tmp_path: Path) -> None:
    experts = {
        role: saved(tmp_path / role, "llama_tied", seed) for seed, role in enumerate(("language", "task"), 1)
    }
    opened(merge(tmp_path / "out", **experts))
    tensors(lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))(experts["task"])
    with pytest.raises(UserError, match=r"^language: .*: lm_head\.weight is missing, which task=.* has"):
        merge(tmp_path / "other", **experts)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bottom": 3, "top": 3}, "bottom=3, top=3, transition=0: no layer of 6 is left to the task expert"),
        ({"bottom": 1, "top": 1, "transition": 2}, "no layer of 6 is left to the task expert"),
        ({"method": "adaptive"}, "base: adaptive needs the model that both experts were fine-tuned from"),
        ({"method": "adaptive", "base": "here/is/none"}, "base: here/is/none: there is no such folder"),
    ],
)
def test_settings_that_do_not_fit(
    experts: dict[str, Path], tmp_path: Path, given: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        merge(tmp_path / "out", **experts, **given)


BASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "architecture": (of_kind("qwen2"), "base: .*: model_type is qwen2"),
    "names": (tensors(lambda t: t.pop(LAYER)), f"base: .*: {LAYER} is missing, which adaptive compares"),
    "shape": (tensors(lambda t: t.update({LAYER: torch.ones(32, 16)})), f"base: .*: {LAYER} has the shape"),
    "zeros": (tensors(lambda t: t[LAYER].zero_()), f"language: .*: {LAYER} cannot be compared: .* all zeros"),
    "nan": (
        tensors(lambda t: t[LAYER].fill_(torch.nan)),
        f"language: .*: {LAYER} cannot be compared: .* not finite",
    ),
}


@pytest.mark.parametrize("case", BASES)
def test_a_base_that_is_none(experts: dict[str, Path], tmp_path: Path, case: str) -> None:
    damage, message = BASES[case]
    base = saved(tmp_path / "base", "llama", 0)
    damage(base)
    with pytest.raises(UserError, match=message):
        merge(tmp_path / "out", **experts, base=base, method="adaptive")


def test_a_base_may_have_fewer_tokens(experts: dict[str, Path], tmp_path: Path) -> None:
    base = model("llama", 0)
    base.resize_token_embeddings(90)
    base.save_pretrained(tmp_path / "base")
    opened(merge(tmp_path / "out", **experts, base=tmp_path / "base", method="adaptive"))
