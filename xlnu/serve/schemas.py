"""The bodies of requests and answers. What they say here is what /openapi.json and /docs show."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1, pattern=r"\S", description="Not only blanks.")]
LanguageName = Annotated[
    str,
    Field(
        min_length=1, max_length=100, examples=["swh_Latn"], json_schema_extra={"format": "language"},
        description="A FLORES-200 code, an ISO 639 code, a tag or an English name: swh_Latn, sw, swa, Swahili. "
        "Where it means several, the answer is 422 with those.",
    ),
]  # fmt: skip
ModelName = Annotated[str | None, Field(description="One of /v1/models; without, the first that can do it.")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Item(_Request):
    """A text with its language."""

    text: Text
    language: LanguageName | None = None


class Classifiable(_Request):
    """A text, with `pair` the two of a pair, or the words of a sentence to be labelled each."""

    text: Text | None = None
    pair: Text | None = None
    words: Annotated[list[Text], Field(min_length=1, max_length=2000)] | None = None
    language: LanguageName | None = None


class ClassifyRequest(_Request):
    input: Text | Classifiable | Annotated[list[Text | Classifiable], Field(min_length=1)]
    language: LanguageName | None = Field(None, description="Of all that come without one of their own.")
    model: ModelName = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"input": "Mtoto anacheza mpira.", "language": "sw"}]}
    )


class Question(_Request):
    passage: str = Field("", description="What the question is about; it may be missing.")
    question: Text
    choices: Annotated[list[Text], Field(min_length=2)]
    language: LanguageName | None = None


class ChooseRequest(Question):
    model: ModelName = None


class ChooseManyRequest(_Request):
    input: Annotated[list[Question], Field(min_length=1)]
    language: LanguageName | None = None
    model: ModelName = None


class SimilarityRequest(_Request):
    input: Text | Item | Annotated[list[Text | Item], Field(min_length=1)]
    candidates: Annotated[list[Text | Item], Field(min_length=1)]
    language: LanguageName | None = Field(None, description="Of all that come without one of their own.")
    model: ModelName = None


class EmbeddingsRequest(_Request):
    """As OpenAI's; `language` is ours, and its client passes it as `extra_body={"language": "sw"}`."""

    input: Text | Item | Annotated[list[Text | Item], Field(min_length=1)]
    model: ModelName = None
    language: LanguageName | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="Only the model's own width.")
    user: str | None = Field(None, description="Read by nobody.")


# ---------------------------------------------------------------------------------------------- answers


class Usage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Answer(BaseModel):
    object: Literal["list"] = "list"
    model: str
    version: str = Field(description="Of the model: the hash of its files.")
    usage: Usage


class Labelled(BaseModel):
    label: str
    probability: float


class Word(Labelled):
    word: str


class _Read(BaseModel):
    index: int
    language: str = Field(description="The FLORES-200 code that the text was read in.")
    language_found: bool = Field(description="By the detector, and not by the request.")


class Classified(_Read):
    """`label` and `labels` of a classifier, `words` of one that labels words, `score` of one that scores."""

    label: str | None = None
    probability: float | None = None
    labels: list[Labelled] | None = Field(None, description="All of them, the likeliest first.")
    words: list[Word] | None = None
    score: float | None = None


class ClassifyAnswer(Answer):
    data: list[Classified]


class Chosen(_Read):
    choice: int = Field(description="The number of the likeliest, from 0.")
    probability: float
    probabilities: list[float]


class ChooseAnswer(Answer):
    data: list[Chosen]


class Near(BaseModel):
    index: int = Field(description="Among the candidates.")
    similarity: float = Field(description="The cosine of the embeddings.")
    language: str


class Compared(_Read):
    nearest: list[Near] = Field(description="All candidates, the nearest first.")


class SimilarityAnswer(Answer):
    data: list[Compared]


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str
    language: str
    language_found: bool


class EmbeddingsAnswer(Answer):
    data: list[Embedding]


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "xlnu"
    version: str
    task: str | None = Field(None, description="What it answers; none: it embeds.")
    endpoints: list[str]
    labels: list[str]
    width: int = Field(description="Numbers of an embedding.")


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class LanguageLine(BaseModel):
    code: str
    name: str
    script: str
    family: str
    iso1: str
    iso3: str
    models: list[str] = Field(description="Which read it.")


class Languages(BaseModel):
    object: Literal["list"] = "list"
    data: list[LanguageLine]


class Health(BaseModel):
    status: Literal["ok", "not ready"]
    models: dict[str, bool] = {}


class ErrorChoice(BaseModel):
    code: str
    name: str


class ErrorAbout(BaseModel):
    message: str
    type: str
    param: str | None
    code: str
    choices: list[ErrorChoice] | None = None


class Error(BaseModel):
    error: ErrorAbout


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "The body is no JSON."},
    401: {"model": Error, "description": "There is no key, or nobody's."},
    404: {"model": Error, "description": "There is no such model."},
    413: {"model": Error, "description": "The body is too long."},
    422: {"model": Error, "description": "Something in it cannot be: what, where, and what may have been meant."},
    429: {"model": Error, "description": "Too much is waiting: Retry-After says when to come again."},
    503: {"model": Error, "description": "No replica answers: Retry-After says when to come again."},
    504: {"model": Error, "description": "The request's time is up."},
}
