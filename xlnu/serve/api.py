"""The HTTP API: what is asked, of which model, and how the answer looks. It holds no model and computes nothing."""

import base64
import math
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import Body, Depends, FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from xlnu import __version__
from xlnu.serve import invalid, keys, page
from xlnu.serve import schemas as s
from xlnu.serve.asking import Asking, Told
from xlnu.serve.measures import Measures
from xlnu.serve.outer import ABOUT, Outer
from xlnu.serve.reading import Example, Identity, Said
from xlnu.serve.refused import Refusal, Refused, wrong
from xlnu.serve.settings import LimitsConfig

DEADLINE = "x-request-timeout"
REQUESTS: list[type[BaseModel]] = [
    s.ClassifyRequest, s.Classifiable, s.ChooseRequest, s.ChooseManyRequest, s.Question, s.SimilarityRequest,
    s.EmbeddingsRequest, s.Item,
]  # fmt: skip


class Api:
    """`models`: names, the default first."""

    def __init__(
        self,
        asking: Asking,
        models: Sequence[str],
        limits: LimitsConfig,
        hashes: Mapping[str, str],
        texts_in_log: bool,
        wakes: bool,
    ) -> None:
        self.asking, self.models, self.limits = asking, list(models), limits
        self.hashes, self.texts_in_log, self.wakes = hashes, texts_in_log, wakes

    # ------------------------------------------------------------------------------ what every request goes through

    def admit(self, request: Request) -> None:
        """Whose request it is, and until when it is worth an answer."""
        about = request.scope[ABOUT]
        about["endpoint"] = request.scope["route"].path.removeprefix(
            "/v1/"
        )  # as it is written, not as it was called
        if self.hashes:
            caller = keys.owner(request.headers.get("authorization"), self.hashes)
            if caller is None:
                said = "this needs a key that is known here: Authorization: Bearer KEY"
                raise Refused(401, "invalid_api_key", said)
            about["caller"] = caller
        given = request.headers.get(DEADLINE)
        asked = self.limits.deadline
        if given is not None:
            try:
                asked = float(given)
            except ValueError:
                asked = math.nan
            if not asked > 0:
                raise wrong(f"{DEADLINE}: seconds, above 0; not {given[:20]!r}", DEADLINE)
        request.state.until = time.monotonic() + min(asked, self.limits.deadline)

    async def chosen(self, request: Request, name: str | None, endpoint: str) -> str:
        """The model of a request: the one that is named, or the first that can do it."""
        if name is not None:
            if name not in self.models:
                some = ", ".join(self.models)
                raise Refused(
                    404, "model_not_found", f"there is no model {name[:64]!r} here; there is {some}", "model"
                )
            return name
        for one in self.models:
            identity = await self.asking.identity(one, request.state.until)
            if endpoint in endpoints(identity):
                return one
        raise wrong("no model here answers this; /v1/models tells what they do", "model", "model_missing")

    async def told(self, request: Request, name: str, examples: list[Example], want: Any) -> Told:
        limits, about = self.limits, request.scope[ABOUT]
        about["model"] = name
        if len(examples) > limits.texts:
            raise wrong(f"{len(examples)} texts; at most {limits.texts} go in one request", "input", "too_many")
        for one in examples:
            for text in one.segments:
                if len(text) > limits.characters:
                    said = f"a text of {len(text)} characters; at most {limits.characters} are read"
                    raise wrong(said, one.param, "too_long")
                if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
                    raise wrong("half of a surrogate pair is no text", one.param)
        if self.texts_in_log:
            about["texts"] = [list(one.segments) for one in examples]
        found = await self.asking.ask(name, examples, want, request.state.until)
        by = dict[str, list[int]]()
        for answer in found.said:
            read_as = answer.language.rpartition("->")[
                2
            ]  # what it stands in for may be anything, and be counted apart
            by.setdefault(read_as, []).append(answer.tokens)
        for language, tokens in by.items():
            self.asking.measures.read(name, language, len(tokens), sum(tokens))
        about |= {"items": len(examples), "tokens": _tokens(found.said), "languages": sorted(by)}
        return found

    # ------------------------------------------------------------------------------------------------ the endpoints

    async def classify(self, request: Request, body: s.ClassifyRequest) -> s.ClassifyAnswer:
        given = body.input if isinstance(body.input, list) else [body.input]
        examples = [_classifiable(one, body.language, _at(body.input, i)) for i, one in enumerate(given)]
        name = await self.chosen(request, body.model, "classify")
        told = await self.told(request, name, examples, "answer")
        data = [
            s.Classified(
                index=i, language=said.language, language_found=said.found, **_labelled(told.identity, said, one)
            )
            for i, (said, one) in enumerate(zip(told.said, examples, strict=True))
        ]  # fmt: skip
        return s.ClassifyAnswer(data=data, **_about(told))

    async def choose(self, request: Request, body: s.ChooseRequest | s.ChooseManyRequest) -> s.ChooseAnswer:
        many = isinstance(body, s.ChooseManyRequest)
        given: list[s.Question] = body.input if isinstance(body, s.ChooseManyRequest) else [body]
        examples = []
        for i, one in enumerate(given):
            where = f"input.{i}" if many else "question"
            if len(one.choices) > self.limits.choices:
                raise wrong(
                    f"{len(one.choices)} choices; at most {self.limits.choices}", f"{where}.choices", "too_many"
                )
            segments = (one.passage, one.question, *one.choices)
            examples.append(Example("choice", segments, one.language or body.language, where))
        name = await self.chosen(request, body.model, "choose")
        told = await self.told(request, name, examples, "answer")
        data = []
        for i, said in enumerate(told.said):
            numbers = _flat(said)
            best = max(range(len(numbers)), key=numbers.__getitem__)
            data.append(
                s.Chosen(
                    index=i, language=said.language, language_found=said.found, choice=best,
                    probability=numbers[best], probabilities=numbers,
                )
            )  # fmt: skip
        return s.ChooseAnswer(data=data, **_about(told))

    async def embeddings(self, request: Request, body: s.EmbeddingsRequest) -> s.EmbeddingsAnswer:
        name = await self.chosen(request, body.model, "embeddings")
        told = await self.told(request, name, _items(body.input, body.language, "input"), "embedding")
        width = told.identity.width
        if body.dimensions not in (None, width):
            raise wrong(f"{name} has {width} dimensions, and cannot give {body.dimensions}", "dimensions")
        data = [
            s.Embedding(
                index=i, language=said.language, language_found=said.found,
                embedding=_packed(_flat(said)) if body.encoding_format == "base64" else _flat(said),
            )
            for i, said in enumerate(told.said)
        ]  # fmt: skip
        return s.EmbeddingsAnswer(data=data, **_about(told))

    async def similarity(self, request: Request, body: s.SimilarityRequest) -> s.SimilarityAnswer:
        if len(body.candidates) > self.limits.choices:
            said = f"{len(body.candidates)} candidates; at most {self.limits.choices}"
            raise wrong(said, "candidates", "too_many")
        name = await self.chosen(request, body.model, "similarity")
        ours = _items(body.input, body.language, "input")
        told = await self.told(
            request, name, ours + _items(body.candidates, body.language, "candidates"), "embedding"
        )
        states = np.array([_flat(said) for said in told.said])
        states /= np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12)
        cosines = (states[: len(ours)] @ states[len(ours) :].T).tolist()
        data = []
        for i, one in enumerate(told.said[: len(ours)]):
            found = [
                s.Near(index=j, similarity=cosine, language=told.said[len(ours) + j].language)
                for j, cosine in enumerate(cosines[i])
            ]
            found.sort(key=lambda each: -each.similarity)
            data.append(s.Compared(index=i, language=one.language, language_found=one.found, nearest=found))
        return s.SimilarityAnswer(data=data, **_about(told))

    async def model(self, request: Request, name: str) -> s.Model:
        await self.chosen(request, name, "")
        identity = await self.asking.identity(name, request.state.until)
        return s.Model(
            id=identity.name, version=identity.version, task=identity.task, endpoints=endpoints(identity),
            labels=list(identity.labels), width=identity.width,
        )  # fmt: skip

    async def languages(self, request: Request, name: str | None) -> s.Languages:
        names = [name] if name is not None else self.models
        lines = dict[str, s.LanguageLine]()
        for one in names:
            await self.chosen(request, one, "")
            for language in await self.asking.languages(one, request.state.until):
                line = s.LanguageLine(
                    code=language.code, name=language.name, script=language.script, family=language.family,
                    iso1=language.iso1, iso3=language.iso3, models=[],
                )  # fmt: skip
                lines.setdefault(language.code, line).models.append(one)
        return s.Languages(data=sorted(lines.values(), key=lambda line: line.code))


def endpoints(identity: Identity) -> list[str]:
    return [*([identity.endpoint] if identity.endpoint else []), "similarity", "embeddings"]


def app_of(api: Api, measures: Measures) -> Any:
    """The ASGI application."""
    app = FastAPI(
        title="xlnu", version=__version__, docs_url=None, redoc_url=None,
        description="A model that classifies, chooses and embeds in every language that its encoder reads.",
    )  # fmt: skip

    async def admit(request: Request) -> None:  # not `def`: that would be run in a thread, at 1 ms a request
        api.admit(request)

    locks = (
        [Security(HTTPBearer(auto_error=False))] if api.hashes else []
    )  # that the schema says so, and /docs asks

    asked: dict[str, Any] = {
        "dependencies": [Depends(admit), *locks],
        "responses": s.ERRORS,
        "response_model_exclude_none": True,
    }

    @app.post("/v1/classify", **asked)
    async def classify(request: Request, body: s.ClassifyRequest) -> s.ClassifyAnswer:
        """Labels of texts, pairs or words, with their probabilities."""
        return await api.classify(request, body)

    @app.post("/v1/choose", **asked)
    async def choose(
        request: Request, body: Annotated[s.ChooseRequest | s.ChooseManyRequest, Body()]
    ) -> s.ChooseAnswer:
        """The likeliest of the answers to a question about a passage; of one, or of a list as `input`."""
        return await api.choose(request, body)

    @app.post("/v1/similarity", **asked)
    async def similarity(request: Request, body: s.SimilarityRequest) -> s.SimilarityAnswer:
        """How near each candidate is to each text, across languages."""
        return await api.similarity(request, body)

    @app.post("/v1/embeddings", **asked)
    async def embeddings(request: Request, body: s.EmbeddingsRequest) -> s.EmbeddingsAnswer:
        """Embeddings, asked for and answered as OpenAI's are."""
        return await api.embeddings(request, body)

    @app.get("/v1/models", **asked)
    async def models(request: Request) -> s.Models:
        """What is served here."""
        return s.Models(data=[await api.model(request, name) for name in api.models])

    @app.get("/v1/models/{name}", **asked)
    async def model(request: Request, name: str) -> s.Model:
        return await api.model(request, name)

    @app.get("/v1/languages", **asked)
    async def languages(request: Request, model: str | None = None) -> s.Languages:
        """What can be read, by which model."""
        return await api.languages(request, model)

    @app.get("/healthz")
    async def healthz() -> s.Health:
        """Whether this process answers."""
        return s.Health(status="ok")

    @app.get("/readyz", responses={503: {"model": s.Health}})
    async def readyz() -> Any:
        """Whether every model does."""
        # asking a model that has no replica starts one, and then there would always be one
        found = {name: api.wakes or await api.asking.ready(name) for name in api.models}
        status = s.Health(status="ok" if all(found.values()) else "not ready", models=found)
        return JSONResponse(status.model_dump(), 200 if all(found.values()) else 503)

    page.add(app)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return _response(error.refusal)

    @app.exception_handler(RequestValidationError)
    async def unfit(_: Request, error: RequestValidationError) -> Response:
        return _response(invalid.refusal(error.errors(), REQUESTS))

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        named = {404: "not_found", 405: "method_not_allowed", 400: "not_json", 413: "too_long"}
        said = error.detail
        if error.status_code in (404, 405):
            said = f"{request.method} {request.url.path[:100]}: {said}; /docs tells what there is"
        found = _response(Refusal(error.status_code, named.get(error.status_code, "invalid_request"), said))
        found.headers.update(error.headers or {})
        return found

    return Outer(app, measures, api.limits.body, api.limits.wait)


def _response(refusal: Refusal) -> Response:
    return JSONResponse(refusal.body(), refusal.status, refusal.headers)


def _classifiable(one: str | s.Classifiable, language: str | None, where: str) -> Example:
    if isinstance(one, str):
        return Example("text", (one,), language, where)
    spoken = one.language or language
    if one.words is not None:
        if one.text is not None or one.pair is not None:
            raise wrong("give words, or a text: not both", where)
        return Example("words", tuple(one.words), spoken, where)
    if one.text is None:
        raise wrong("give a text, or words", where)
    if one.pair is not None:
        return Example("pair", (one.text, one.pair), spoken, where)
    return Example("text", (one.text,), spoken, where)


def _items(given: str | s.Item | list[str | s.Item], language: str | None, name: str) -> list[Example]:
    some = given if isinstance(given, list) else [given]
    return [
        Example("text", (one,), language, _at(given, i, name))
        if isinstance(one, str)
        else Example("text", (one.text,), one.language or language, _at(given, i, name))
        for i, one in enumerate(some)
    ]


def _at(given: Any, number: int, name: str = "input") -> str:
    return f"{name}.{number}" if isinstance(given, list) else name


def _labelled(identity: Identity, said: Said, example: Example) -> dict[str, Any]:
    if identity.task == "regression":
        return {"score": _flat(said)[0]}
    if identity.task == "tokens":
        return {
            "words": [
                s.Word(word=word, **_best(identity.labels, row).model_dump())
                for word, row in zip(example.segments, said.numbers, strict=True)
            ]
        }
    numbers = _flat(said)
    rows = sorted(
        (s.Labelled(label=label, probability=p) for label, p in zip(identity.labels, numbers, strict=True)),
        key=lambda row: -row.probability,
    )
    best = _best(identity.labels, numbers)
    return {"label": best.label, "probability": best.probability, "labels": rows}


def _best(labels: Sequence[str], numbers: Any) -> s.Labelled:
    at = max(range(len(labels)), key=numbers.__getitem__)
    return s.Labelled(label=labels[at], probability=numbers[at])


def _flat(said: Said) -> list[float]:
    numbers: Any = said.numbers
    return numbers if isinstance(numbers, list) else [numbers]


def _about(told: Told) -> dict[str, Any]:
    tokens = _tokens(told.said)
    usage = s.Usage(prompt_tokens=tokens, total_tokens=tokens)
    return {"model": told.identity.name, "version": told.identity.version, "usage": usage}


def _tokens(said: Sequence[Said]) -> int:
    return sum(one.tokens for one in said)


def _packed(numbers: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
