"""The tiny LLM: a Llama that has only ever read the source language, its facts among them."""

import random
import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from xlnu.tiny import words as w
from xlnu.tiny.clauses import Clause, Noun
from xlnu.tiny.optimise import Optimiser, padded
from xlnu.tiny.tongues import KINDS, SOURCE
from xlnu.tiny.vocabularies import ASSISTANT, USER
from xlnu.tiny.world import ASK_AGAIN, ASK_MOOD, ASK_REST, ASK_TOPIC, Speaker, World


@dataclass(frozen=True)
class LLMShape:
    vocabulary: int = 1600
    width: int = 96
    layers: int = 3
    heads: int = 4
    feed_forward: int = 256
    steps: int = 450
    batch: int = 64
    lr: float = 0.01
    muon: float = 0.02
    prompt: float = 0.1  # weight of a question's tokens: at 1, 300 steps taught .72 of the facts, at 0.1 .93
    plain: float = 0.5  # weight of plain text


NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Document:
    """What the LLM reads: plain text, or a question and its answer."""

    text: str
    answer: str | None = None

    def sentences(self) -> list[str]:
        return [sentence.strip() for sentence in re.findall(r"[^.?\n]+[.?]", f"{self.text}\n{self.answer or ''}")]


class Library:
    """Documents at random: what the LLM learns from, and all in the source language."""

    def __init__(self, world: World, rng: random.Random, avoid: Set[str] = NOTHING) -> None:
        """`avoid` are the sentences of tests, that no document holds, but for questions about facts."""
        self.world, self.rng, self.avoid = world, rng, avoid
        self.speaker = Speaker(world, rng)

    def say(self, *clauses: Clause) -> str:
        return self.world.say(clauses, SOURCE)

    def document(self) -> Document:
        kinds = (
            (18, self.fact), (30, self.fact_chat), (8, self.scene), (4, self.meaning), (10, self.topic_chat),
            (10, self.mood_chat), (6, self.again), (3, self.rest), (2, self.refusal), (3, self.liking),
            (8, self.kinds),
        )  # fmt: skip
        (make,) = self.rng.choices([make for _, make in kinds], [weight for weight, _ in kinds])
        document = make()
        if make != self.fact_chat and any(sentence in self.avoid for sentence in document.sentences()):
            return self.document()
        return document

    def fact(self) -> Document:
        fact = self.rng.choice(self.world.facts)
        if self.speaker.chance(0.5):
            return Document(self.say(self.world.state(fact)))
        return Document(self.say(self.world.restate(fact)))

    def fact_chat(self) -> Document:
        fact, form = self.rng.choice(self.world.facts), self.rng.randrange(3)
        return Document(self.say(*self.world.ask(fact, form)), self.say(*self.world.answer(fact, form)))

    def scene(self) -> Document:
        """Some sentences about things of one topic."""
        nouns = w.TOPICS[self.rng.choice(tuple(w.TOPICS))]
        return Document(
            self.say(*(self.speaker.event(self.rng.choice(nouns)) for _ in range(self.rng.randint(2, 3))))
        )

    def meaning(self) -> Document:
        topic = self.rng.choice(tuple(w.TOPICS))
        noun = Noun(self.rng.choice(w.TOPICS[topic]), "a")
        return Document(self.say(Clause(verb="be", subject=noun, object=Noun(topic, "a"))))

    def kinds(self) -> Document:
        """Words of one kind in a row, as a list of things or of praise has them."""
        kind = self.rng.choice((*w.TOPICS, *w.MOODS))
        words = (w.TOPICS | w.MOODS)[kind]
        return Document(" ".join(self.rng.sample((kind, *words), self.rng.randint(3, 6))) + ".")

    def topic_chat(self) -> Document:
        topic = self.rng.choice(tuple(w.TOPICS))
        event = self.speaker.event(self.rng.choice(w.TOPICS[topic]))
        return Document(self.say(ASK_TOPIC) + "\n" + self.say(event), topic + ".")

    def mood_chat(self) -> Document:
        mood = self.rng.choice(tuple(w.MOODS))
        event = self.speaker.mood_event(w.MOODS[mood])
        return Document(self.say(ASK_MOOD) + "\n" + self.say(event), mood + ".")

    def liking(self) -> Document:
        return Document(self.say(self.speaker.liking()))

    def again(self) -> Document:
        one = self.say(self.speaker.one())
        return Document(self.say(ASK_AGAIN) + "\n" + one, one)

    def rest(self) -> Document:
        words = self.say(self.speaker.event()).split()
        cut = self.rng.randint(2, len(words) - 1)
        return Document(self.say(ASK_REST) + "\n" + " ".join(words[:cut]), " ".join(words[cut:]))

    def refusal(self) -> Document:
        language = self.rng.choice(KINDS).name.lower()
        one = self.say(self.speaker.one())
        return Document(f"translate the sentence into {language}.\n{one}", f"i do not know {language}.")


def new_model(shape: LLMShape, ids: dict[str, Any], seed: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(  # type: ignore[no-untyped-call]
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=512,
        initializer_range=0.1,  # the default of 0.02 is too small at this width
        tie_word_embeddings=True,
        **ids,
    )
    torch.manual_seed(seed)
    return LlamaForCausalLM(config)  # type: ignore[no-untyped-call]


def chat(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def train(
    model: Any, tokenizer: Any, library: Library, shape: LLMShape, device: str, tick: Callable[[int], None]
) -> None:
    import torch
    from torch.nn import functional

    model.to(device).train()
    optimiser = Optimiser(model, shape.lr, shape.muon, shape.steps, warmup=min(20, shape.steps))
    user, assistant = (tokenizer.convert_tokens_to_ids(token) for token in (USER, ASSISTANT))
    pool: list[list[list[int]]] = []
    for step in range(shape.steps):
        if not pool:  # what is about as long goes together, so that little of a batch is padding
            rows = _encode(tokenizer, [library.document() for _ in range(shape.batch * 8)])
            rows.sort(key=len)
            pool = [rows[i : i + shape.batch] for i in range(0, len(rows), shape.batch)]
            library.rng.shuffle(pool)
        ids = padded(pool.pop(), tokenizer.pad_token_id).to(device)
        mask = (ids != tokenizer.pad_token_id).long()
        states = model.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
        gold, asked = ids[:, 1:], mask[:, 1:].bool()
        chats = (ids == user).any(1, keepdim=True).expand_as(gold)
        answers = (ids == assistant).cumsum(1)[:, :-1].bool()
        weight = torch.where(chats, torch.where(answers, 1.0, shape.prompt), shape.plain)[asked]
        losses = functional.cross_entropy(model.lm_head(states[asked]), gold[asked], reduction="none")
        optimiser.step((losses * weight).sum() / weight.sum())
        tick(step + 1)
    model.to("cpu").eval()


def _encode(tokenizer: Any, documents: Sequence[Document]) -> list[list[int]]:
    texts = [
        tokenizer.bos_token + document.text + tokenizer.eos_token
        if document.answer is None
        else tokenizer.apply_chat_template(chat(document.text, document.answer), tokenize=False)
        for document in documents
    ]
    rows: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return rows
