"""A stack on the tasks of MTEB, each text read in the language that its task says it is in.

    mteb.evaluate(MtebEncoder("runs/mtllm/stack"), mteb.get_tasks(["SIB200Classification"]))

MTEB's own way with a SentenceTransformer knows of prompts by task, not by language: all would be read as the
stack's source language.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from sentence_transformers import SentenceTransformer

from xlnu.errors import UserError

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata


class MtebEncoder(AbsEncoder):
    """`languages`: of a subset, where MTEB does not say it, or says one that the encoder does not have:
    {"ace-Arab": "ace_Latn"}. `parents`: what `from_pretrained` of a stack takes.
    """

    def __init__(
        self, folder: str, *, device: str | None = None, languages: Mapping[str, str] | None = None, **parents: Any
    ) -> None:
        self.model = SentenceTransformer(folder, device=device, model_kwargs=parents)
        self.mteb_model_meta = ModelMeta.from_sentence_transformer_model(self.model)
        self.languages = languages or {}

    def encode(
        self, inputs: Any, *, task_metadata: "TaskMetadata", hf_subset: str, hf_split: str = "", **kwargs: Any
    ) -> Any:
        del hf_split
        kwargs.pop("prompt_type", None)  # to a stack a query is a text like any other
        texts = [text for batch in inputs for text in batch["text"]]
        return self.model.encode(texts, language=self._language(task_metadata, hf_subset), **kwargs)

    def _language(self, task: "TaskMetadata", subset: str) -> str:
        if subset in self.languages:
            return self.languages[subset]
        of = task.hf_subsets_to_langscripts
        known = of.get(subset)
        if known is None and any(subset in pair.split("-") for pair in of):  # a side of many parallel ones
            known = [subset]
        if known is None or len(known) != 1:
            what = f"in {' and '.join(known)}, and does not say which is in which" if known else "in no language"
            raise UserError(
                f"{task.name}: MTEB says that the texts of {subset} are {what}: give one for all of them: "
                f"languages={{'{subset}': 'swh_Latn'}}"
            )
        return known[0]
