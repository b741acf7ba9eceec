"""Whether models can be put together is said before any work."""

import json
import shutil
from pathlib import Path

import pytest

from tests.mtllm.worlds import parents, settings
from xlnu.errors import UserError
from xlnu.languages import resolve_all
from xlnu.mtllm.parts import suits
from xlnu.tiny.build import Built

PLACES = "needs tokenizers that say where their tokens lie, as fast ones do; take "
NO_BEGIN = "stack.code: begin: the LLM has no token for a beginning; take"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], f"stack.init: least_squares {PLACES}random"),
        (["stack.init=random", "align.span=0.5"], f"align.span: {PLACES}0"),
        (["stack.init=random", "stack.code=begin"], NO_BEGIN),
        (["stack.init=random"], ""),
    ],
)
def test_a_tokenizer_that_tells_no_places(tiny: Built, tmp_path: Path, more: list[str], message: str) -> None:
    shutil.copytree(tiny.llm, tmp_path / "llm", ignore=shutil.ignore_patterns("*token*"))
    (tmp_path / "llm" / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))
    given = [f"llm.model={tmp_path / 'llm'}", "languages=[qaa_Latn]", "stack.code=keep", *more]
    config, declared = settings(tiny, *given)
    both, languages = parents(config), resolve_all(config.languages, declared)
    if not message:
        suits(both, config.stack, languages, span=False)
        return
    with pytest.raises(UserError) as caught:
        suits(both, config.stack, languages, span=config.align.span > 0)
    assert str(caught.value).startswith(message)
