"""A translator out of any generator: a chat model is asked to translate, and shown examples if there are some."""

import re
from collections.abc import Mapping, Sequence

from xlnu.engines.base import Answer, Decoding, Generator, Message, Question, Translation
from xlnu.languages import Language
from xlnu.rows import row_id

Shots = Mapping[str, Sequence[tuple[str, str]]]

QUOTED = ['""', "“”", "„“", "„”", "””", "«»", "»«", "「」", "『』"]  # an apostrophe may belong to the first word
QUOTES = tuple({*"".join(QUOTED), *"'‘’‚‹›`"})
LABEL = re.compile(r"[^:：\n]{1,40}[:：]")


class PromptedTranslator:
    """`shots`: (source, target) pairs by the code of the target language. What it writes is drawn greedily."""

    def __init__(self, generator: Generator, shots: Shots, max_new_tokens: int) -> None:
        self.generator, self.shots = generator, shots
        self.decoding = Decoding(max_new_tokens)

    def knows(self, _language: Language) -> bool:
        return True  # it is asked by name; what it makes of that is for the flags and the scores

    def translate(self, texts: Sequence[str], source: Language, target: Language) -> list[Translation]:
        questions = [self._question(text, source, target) for text in texts]
        answers = self.generator.answer(questions, self.decoding)
        return [_translation(text, answer, target) for text, answer in zip(texts, answers, strict=True)]

    def _question(self, text: str, source: Language, target: Language) -> Question:
        # With every text again, for the texts are themselves instructions, and one that stands alone is followed.
        # Not as a system message: some chat templates (Gemma's) refuse those.
        asked = f"Translate from {source.name} to {target.name}. Answer with the translation only.\n\n"
        chat: list[Message] = []
        for example, translated in self.shots.get(target.label, ()):
            chat += [_says("user", asked + example), _says("assistant", translated)]
        chat.append(_says("user", asked + text))
        return Question(tuple(chat), seed=int(row_id(text, target.code)[:15], 16))


def _says(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _translation(text: str, answer: Answer, target: Language) -> Translation:
    said = _bare(text.strip(), answer.text.strip(), target)
    return Translation(said, answer.tokens, answer.cut_off, answer.refused)


def _bare(source: str, answer: str, target: Language) -> str:
    """The answer without what chat models put around a translation, where the source shows that it is no part."""
    name = re.escape(target.name.partition(" in ")[0])  # "... in Latin script"
    label = re.match(rf"({name}|{name} translation|translation)\s*[:：]\s*", answer, re.IGNORECASE)
    if label and (LABEL.match(answer, label.end()) or not LABEL.match(source)):
        answer = answer[label.end() :]
    first, inner, last = answer[:1], answer[1:-1], answer[1:][-1:]
    quoted = first + last in QUOTED and first not in inner and last not in inner
    if quoted and not source.startswith(QUOTES) and not source.endswith(QUOTES):
        answer = inner.strip()
    return answer
