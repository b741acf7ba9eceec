"""A stack's directory: saved, opened again in another process, merged, and refused where it is not whole."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

import xlnu
from tests.stack.stacks import ENCODERS, FAMILIES, TEXTS, alone, llm, reader, stack
from xlnu.errors import UserError
from xlnu.mtllm.trained import save
from xlnu.stack import artefact
from xlnu.stack.inputs import padded
from xlnu.stack.model import StackModel
from xlnu.tiny.build import Built
from xlnu.train import tuned
from xlnu.train.tuned import LoraConfig

AUTO: Any = AutoModel
TOKENIZER: Any = AutoTokenizer
CARD = "---\nlicense: mit\n---\n# A card\n"
TOP = str(Path(xlnu.__file__).parents[1])
# In a process that has seen nothing of ours: opens a directory, reads some tokens, and leaves what it made of them.
READ = """
import sys
{imports}
import torch
tokens = torch.load(sys.argv[2])
with torch.no_grad():
    said = AutoModel.from_pretrained(sys.argv[1])(*tokens)
torch.save((said.pooled, said.logits), sys.argv[3])
"""
ORDERS = {
    "xlnu first": "import xlnu; from transformers import AutoConfig, AutoModel",
    "transformers first": "import transformers; import xlnu; from transformers import AutoConfig, AutoModel",
    "AutoConfig there": "from transformers import AutoConfig; AutoConfig; import xlnu; from transformers import "
    "AutoModel",
    "AutoModel there": "from transformers import AutoModel, AutoConfig; import xlnu",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


def adapted(model: StackModel) -> StackModel:
    """With a LoRA, none of whose weights is 0."""
    model.llm = tuned.adapted(model.llm, LoraConfig(rank=4), "align", "FEATURE_EXTRACTION")
    for name, one in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(one, std=0.1)
    return model


def made(place: Path, built: Built, *, lora: bool = True, of: str = "", **about: Any) -> StackModel:
    """A stack, and its directory at `place`."""
    model = stack(str(built.mt), of or str(built.llm), **about)
    if lora:
        adapted(model)
    model.eval()  # type: ignore[no-untyped-call]
    save(model, place, str(built.llm if about.get("view") == "llm" else built.mt), CARD)
    return model


def tokens(model: StackModel, built: Built) -> tuple[Tensor, Tensor, Tensor]:
    texts, languages = zip(*TEXTS, strict=True)
    alone = model.config.view == "llm"
    return padded(
        reader(model, str(built.llm if alone else built.mt), "llm" if alone else "encoder").read(texts, languages),
        1,
    )


@torch.no_grad()
def logits(model: Any, built: Built) -> Tensor:
    found: Tensor = model(*tokens(model, built)).logits
    return found


def elsewhere(place: Path, given: tuple[Tensor, ...], imports: str) -> tuple[Tensor, Tensor]:
    """What another process makes of the same tokens."""
    torch.save(given, place.parent / "given.pt")
    command = [sys.executable, "-c", READ.format(imports=imports)]
    files = [str(place), str(place.parent / "given.pt"), str(place.parent / "said.pt")]
    done = subprocess.run([*command, *files], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pooled, said = torch.load(place.parent / "said.pt")
    return pooled, said


@pytest.mark.parametrize(
    ("order", "lora", "numbers"),
    [
        ("xlnu first", False, torch.float32),
        ("transformers first", True, torch.float32),
        ("AutoConfig there", False, torch.bfloat16),
        ("AutoModel there", True, torch.bfloat16),
    ],
)
def test_another_process_says_the_same_to_the_bit(
    order: str, lora: bool, numbers: torch.dtype, tiny: Built, tmp_path: Path
) -> None:
    """Whichever of the two packages it imports first."""
    model = stack(str(tiny.mt), str(tiny.llm))
    if lora:
        adapted(model)
    model.to(numbers)  # type: ignore[arg-type]
    model.eval()  # type: ignore[no-untyped-call]
    save(model, tmp_path / "stack", str(tiny.mt), CARD)
    given = tokens(model, tiny)
    with torch.no_grad():
        said = model(*given)
    pooled, found = elsewhere(
        tmp_path / "stack", given, f"{ORDERS[order]}; AutoConfig.from_pretrained(sys.argv[1])"
    )
    assert torch.equal(pooled, said.pooled)
    assert torch.equal(found, said.logits)


def test_importing_xlnu_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'transformers', 'numpy', 'ray', 'sentence_transformers'} & set(sys.modules)"
    command = f"import sys, xlnu; assert not ({heavy}), {heavy}"
    done = subprocess.run([sys.executable, "-c", command], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("fusion", ["mlp", "end_token", "layer_mix", "layer_kv"])
def test_every_fusion_is_kept(fusion: str, tiny: Built, tmp_path: Path) -> None:
    model = made(tmp_path / "stack", tiny, fusion=fusion)
    assert torch.equal(logits(AUTO.from_pretrained(tmp_path / "stack"), tiny), logits(model, tiny))


@pytest.mark.parametrize("view", ["llm", "encoder"])
def test_either_part_alone_is_kept(view: str, tiny: Built, tmp_path: Path) -> None:
    model = made(tmp_path / "stack", tiny, view=view, lora=view == "llm")
    assert torch.equal(logits(AUTO.from_pretrained(tmp_path / "stack"), tiny), logits(model, tiny))


def test_a_stack_of_which_nothing_was_trained_is_kept(tiny: Built, tmp_path: Path) -> None:
    """Neither a fusion nor a head: a teacher that gives pooled states."""
    model = made(tmp_path / "stack", tiny, view="llm", task=None, labels=None, lora=False)
    given = tokens(model, tiny)
    assert torch.equal(AUTO.from_pretrained(tmp_path / "stack")(*given).pooled, model(*given).pooled)


def test_numbers_attention_and_settings_are_as_asked(tiny: Built, tmp_path: Path) -> None:
    model = made(tmp_path / "stack", tiny)
    for how in ({"dtype": torch.bfloat16}, {"dtype": "bfloat16"}, {"torch_dtype": torch.bfloat16}):
        small = AUTO.from_pretrained(tmp_path / "stack", **how)
        assert {one.dtype for one in small.parameters()} == {torch.bfloat16}
        assert small.llm.base_model.model.rotary_emb.inv_freq.dtype == torch.float32  # it counts positions
        torch.testing.assert_close(logits(small, tiny), logits(model, tiny), atol=0.05, rtol=0.05)
    assert next(AUTO.from_pretrained(tmp_path / "stack", dtype="auto").parameters()).dtype == torch.float32
    eager = AUTO.from_pretrained(tmp_path / "stack", attn_implementation="eager")
    assert eager.llm.config._attn_implementation == eager.encoder.config._attn_implementation == "eager"
    torch.testing.assert_close(logits(eager, tiny), logits(model, tiny), atol=1e-5, rtol=1e-5)
    assert AUTO.from_pretrained(tmp_path / "stack", pooling="last").config.pooling == "last"


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_the_adapter_is_one_of_peft(family: str, tiny: Built, folder: Path, tmp_path: Path) -> None:
    """Whoever has only peft and transformers opens it on the LLM, and reads what the stack's LLM reads."""
    own = llm(family, tiny, folder)
    model = made(tmp_path / "stack", tiny, of=own, view="llm", attention="causal")
    place = tmp_path / "stack" / "adapter"
    plain: Any = AutoModelForCausalLM.from_pretrained(own, attn_implementation="eager").model
    opened: Any = peft.PeftModel.from_pretrained(plain, place)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    found = opened(ids).last_hidden_state
    torch.testing.assert_close(model(ids, torch.ones_like(ids)).last_hidden_state, found, atol=1e-5, rtol=1e-5)
    with opened.disable_adapter():
        assert (opened(ids).last_hidden_state - found).abs().max() > 1e-3
    about = json.loads((place / "adapter_config.json").read_text())
    assert about["base_model_name_or_path"] == own
    assert about["revision"] is None


def test_the_adapter_names_a_base_on_the_hub_by_its_revision(tiny: Built, tmp_path: Path) -> None:
    model = adapted(stack(str(tiny.mt), str(tiny.llm)))
    model.config.llm = {"name": "someone/model", "revision": "c0ffee"}
    artefact.save(model, tmp_path)
    about = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (about["base_model_name_or_path"], about["revision"]) == ("someone/model", "c0ffee")


def test_nothing_in_it_can_run(tiny: Built, tmp_path: Path) -> None:
    made(tmp_path / "stack", tiny)
    artefact.merge(str(tmp_path / "stack"), tmp_path / "whole")
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".model", ".txt", ".md", ".jinja"}


# ------------------------------------------------------------------------------------------------ its parents


def copied(source: Path, place: Path) -> Path:
    shutil.copytree(source, place)
    return place


def test_a_changed_parent_is_refused(tiny: Built, tmp_path: Path) -> None:
    own = copied(tiny.llm, tmp_path / "llm")
    made(tmp_path / "stack", tiny, of=str(own))
    weights = load_file(own / "model.safetensors")
    name = min(weights)
    save_file(weights | {name: weights[name] + 1}, own / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        UserError, match=r"llm: .*/llm: is not what this stack was trained with: it is .*, and should"
    ) as e:
        AUTO.from_pretrained(tmp_path / "stack")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("kind", [AutoModel, StackModel])
def test_a_parent_that_has_moved_is_told_of(kind: Any, tiny: Built, tmp_path: Path) -> None:
    own = copied(tiny.llm, tmp_path / "llm")
    model = made(tmp_path / "stack", tiny, of=str(own))
    moved = own.rename(tmp_path / "elsewhere")
    with pytest.raises(
        UserError, match=r"llm: .*/llm: there is no such folder.*from_pretrained\(\.\.\., llm=FOLDER\)"
    ):
        kind.from_pretrained(str(tmp_path / "stack"))
    found = kind.from_pretrained(str(tmp_path / "stack"), llm=str(moved))
    assert torch.equal(logits(found, tiny), logits(model, tiny))
    assert found.config.llm["name"] == str(own)
    with pytest.raises(UserError, match=r"llm: .*: is not what this stack was trained with"):
        kind.from_pretrained(str(tmp_path / "stack"), llm=str(tiny.mt))


def test_a_parent_of_the_hub_may_lie_in_a_folder_of_its_cache(tiny: Built, tmp_path: Path) -> None:
    """Named by the commit: so a stack opens where there is no network."""
    commit = "c0ffee" * 6 + "c0de"
    own = copied(tiny.llm, tmp_path / "snapshots" / commit)
    model = made(tmp_path / "stack", tiny)
    config = json.loads((tmp_path / "stack" / "config.json").read_text())
    config["llm"] = {"name": "someone/model", "revision": commit}
    (tmp_path / "stack" / "config.json").write_text(json.dumps(config))
    found = AUTO.from_pretrained(tmp_path / "stack", llm=str(own))
    assert torch.equal(logits(found, tiny), logits(model, tiny))
    with pytest.raises(UserError, match=f"should be someone/model at {commit}: .*snapshots/{commit}"):
        AUTO.from_pretrained(tmp_path / "stack", llm=str(tiny.llm))


# ------------------------------------------------------------------------------------------------ damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def without_one(path: Path) -> None:
    weights = load_file(path)
    del weights[min(weights)]
    save_file(weights, path, {"format": "pt"})


def one_more(path: Path) -> None:
    save_file(load_file(path) | {"a.weight": torch.zeros(1)}, path, {"format": "pt"})


def wider(path: Path) -> None:
    weights = load_file(path)
    weights[min(weights)] = torch.zeros(3, 3)
    save_file(weights, path, {"format": "pt"})


@pytest.mark.parametrize("file", ["model.safetensors", "adapter/adapter_model.safetensors"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (Path.unlink, "cannot be read: No such file.*; copy the directory anew"),
        (cut, "cannot be read: .*; copy the directory anew"),
        (without_one, "it lacks "),
        (one_more, "it holds what is no part of it: a.weight"),
        (wider, r"\[3, 3\]"),
    ],
)
def test_weights_that_are_not_whole_are_refused(
    file: str, damage: Callable[[Path], None], said: str, tiny: Built, tmp_path: Path
) -> None:
    made(tmp_path / "stack", tiny)
    damage(tmp_path / "stack" / file)
    with pytest.raises(UserError, match=said) as e:
        AUTO.from_pretrained(tmp_path / "stack")
    assert str(Path(file).parent) in str(e.value)
    assert "\n" not in str(e.value)


def test_a_lost_adapter_is_missed(tiny: Built, tmp_path: Path) -> None:
    made(tmp_path / "stack", tiny)
    shutil.rmtree(tmp_path / "stack" / "adapter")
    with pytest.raises(UserError, match="lacks the folder adapter"):
        AUTO.from_pretrained(tmp_path / "stack")


def test_what_is_no_stack_is_refused(tiny: Built, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no stack, but a model of type llama"):
        artefact.load(str(tiny.llm))
    with pytest.raises(UserError, match=r"is no stack: its config.json cannot be read"):
        artefact.load(str(tmp_path))
    with pytest.raises(UserError, match=r"/no/such/folder: no folder here, and the hub does not give it"):
        artefact.load("/no/such/folder")


@pytest.mark.parametrize("kind", [AutoModel, StackModel])
def test_an_unknown_keyword_is_refused(kind: Any, tiny: Built, tmp_path: Path) -> None:
    made(tmp_path / "stack", tiny)
    with pytest.raises(UserError, match="fuson: a stack has no such setting"):
        kind.from_pretrained(str(tmp_path / "stack"), fuson="mlp")


# ------------------------------------------------------------------------------------------------ merged


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_it_needs_nobody_else(family: str, tiny: Built, folder: Path, tmp_path: Path) -> None:
    own, encoder = copied(Path(llm(family, tiny, folder)), tmp_path / "llm"), copied(tiny.mt, tmp_path / "mt")
    model = adapted(stack(str(encoder), str(own)))
    model.eval()  # type: ignore[no-untyped-call]
    save(model, tmp_path / "stack", str(tiny.mt), CARD)
    artefact.merge(str(tmp_path / "stack"), tmp_path / "whole")
    right = logits(model, tiny)
    shutil.rmtree(own)
    shutil.rmtree(encoder)
    whole = AUTO.from_pretrained(tmp_path / "whole")
    torch.testing.assert_close(logits(whole, tiny), right, atol=1e-5, rtol=1e-5)
    assert not (tmp_path / "whole" / "adapter").exists()
    assert whole.config.llm == {"folder": "llm"}
    assert (tmp_path / "whole" / "README.md").read_text() == CARD
    assert (tmp_path / "whole" / "tokenizer.json").is_file()
    again = copied(tmp_path / "whole", tmp_path / "copy")
    shutil.rmtree(tmp_path / "whole")
    assert torch.equal(logits(AUTO.from_pretrained(again), tiny), logits(whole, tiny))


@pytest.mark.parametrize("numbers", [torch.float32, torch.bfloat16])
def test_merged_without_an_adapter_it_is_the_same_to_the_bit(
    numbers: torch.dtype, tiny: Built, tmp_path: Path
) -> None:
    model = stack(str(tiny.mt), str(tiny.llm))
    model.to(numbers)  # type: ignore[arg-type]
    save(model, tmp_path / "stack", str(tiny.mt), CARD)
    artefact.merge(str(tmp_path / "stack"), tmp_path / "whole")
    whole = AUTO.from_pretrained(tmp_path / "whole")
    assert {one.dtype for one in whole.parameters()} == {numbers}
    assert torch.equal(logits(whole, tiny), logits(model, tiny))


@pytest.mark.parametrize("view", ["llm", "encoder"])
def test_either_part_alone_is_merged(view: str, tiny: Built, tmp_path: Path) -> None:
    model = made(tmp_path / "stack", tiny, view=view, lora=False)
    artefact.merge(str(tmp_path / "stack"), tmp_path / "whole")
    assert torch.equal(logits(AUTO.from_pretrained(tmp_path / "whole"), tiny), logits(model, tiny))
    assert (tmp_path / "whole" / view).is_dir()
    assert not (tmp_path / "whole" / ("llm" if view == "encoder" else "encoder")).exists()


@pytest.mark.parametrize("family", ENCODERS)
def test_an_encoder_of_many_languages_is_kept_and_merged(family: str, tiny: Built, tmp_path: Path) -> None:
    own = alone(family, tiny, tmp_path)
    model = adapted(stack(str(tiny.mt), own, view="llm"))
    model.eval()  # type: ignore[no-untyped-call]
    save(model, tmp_path / "stack", own, CARD)
    right = logits(model, tiny)
    assert torch.equal(logits(AUTO.from_pretrained(tmp_path / "stack"), tiny), right)
    artefact.merge(str(tmp_path / "stack"), tmp_path / "whole")
    whole = logits(AUTO.from_pretrained(tmp_path / "whole"), tiny)
    torch.testing.assert_close(whole, right, atol=1e-5, rtol=1e-5)


def test_an_encoder_of_t5s_kind_is_merged(tiny: Built, tmp_path: Path) -> None:
    """Its encoder alone is a model that transformers opens."""
    config = T5Config(
        vocab_size=400, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
    )  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    TOKENIZER.from_pretrained(tiny.mt).save_pretrained(tmp_path / "t5")
    model = stack(str(tmp_path / "t5"), str(tiny.llm))
    save(model, tmp_path / "stack", str(tiny.mt), CARD)
    artefact.merge(str(tmp_path / "stack"), tmp_path / "whole")
    shutil.rmtree(tmp_path / "t5")
    given = torch.randint(5, 300, (2, 6)), torch.ones(2, 6, dtype=torch.long)
    with torch.no_grad():
        assert torch.equal(AUTO.from_pretrained(tmp_path / "whole")(*given).pooled, model(*given).pooled)


def test_it_is_merged_from_the_command_line(tiny: Built, tmp_path: Path) -> None:
    own = copied(tiny.llm, tmp_path / "llm")
    model = made(tmp_path / "stack", tiny, of=str(own))
    moved = own.rename(tmp_path / "moved")

    def merge(*more: str) -> subprocess.CompletedProcess[str]:
        given = [f"stack={tmp_path / 'stack'}", f"run.dir={tmp_path / 'out'}", *more]
        command = [sys.executable, "jobs/merge.py", *given]
        return subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)

    assert merge(f"task={moved}").returncode == 2
    lost = merge()
    assert (lost.returncode, len(lost.stderr.splitlines())) == (2, 1), lost.stderr
    assert "there is no such folder" in lost.stderr
    done = merge(f"llm={moved}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out" / "model")
    shutil.rmtree(moved)
    whole = AUTO.from_pretrained(tmp_path / "out" / "model")
    torch.testing.assert_close(logits(whole, tiny), logits(model, tiny), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_gemma_2_has_its_caps(tiny: Built, tmp_path: Path) -> None:
    """Which sdpa, the default of transformers 4.57, leaves out."""
    config = Gemma2Config(  # type: ignore[no-untyped-call]
        vocab_size=99, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, attn_logit_softcapping=1.0, query_pre_attn_scalar=1,
    )  # fmt: skip
    torch.manual_seed(0)
    written: Any = Gemma2ForCausalLM(config)  # type: ignore[no-untyped-call]
    for one in written.parameters():
        torch.nn.init.normal_(one, std=0.5)
    written.save_pretrained(tmp_path / "gemma")
    model = stack(str(tiny.mt), str(tmp_path / "gemma"), view="llm", attention="causal")
    ids = torch.arange(9)[None]
    right = AutoModelForCausalLM.from_pretrained(tmp_path / "gemma", attn_implementation="eager").model(ids)
    said = model(ids, torch.ones_like(ids)).last_hidden_state
    torch.testing.assert_close(said, right.last_hidden_state, atol=1e-5, rtol=1e-5)
