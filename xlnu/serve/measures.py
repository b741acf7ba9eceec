"""What a server counts. Ray gives it out for Prometheus, with what it counts itself, on every node."""

from typing import Any

from xlnu.serve.batches import Done

SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
SIZES = [1.0, 2, 4, 8, 16, 32, 64, 128, 256, 512]


class Measures:
    """Of the API."""

    def __init__(self) -> None:
        from ray.serve.metrics import Counter, Histogram

        by: Any = ("endpoint", "model", "code")
        of: Any = ("model", "language")
        endpoint: Any = ("endpoint", "model")
        self._requests: Any = Counter("xlnu_requests", "Requests that were answered, by status code.", by)
        self._seconds: Any = Histogram("xlnu_request_seconds", "From a request to its answer.", SECONDS, endpoint)
        self._texts: Any = Counter("xlnu_texts", "Texts that were read, by language.", of)
        self._tokens: Any = Counter("xlnu_tokens", "Tokens that were read, by language.", of)
        self._retries: Any = Counter("xlnu_retries", "Requests that were asked again: a replica died.", ("model",))

    def answered(self, endpoint: str, model: str, code: int, seconds: float) -> None:
        self._requests.inc(1, {"endpoint": endpoint, "model": model, "code": str(code)})
        self._seconds.observe(seconds, {"endpoint": endpoint, "model": model})

    def read(self, model: str, language: str, texts: int, tokens: int) -> None:
        tags = {"model": model, "language": language}
        self._texts.inc(texts, tags)
        self._tokens.inc(tokens, tags)

    def retried(self, model: str) -> None:
        self._retries.inc(1, {"model": model})


class BatchMeasures:
    """Of a replica."""

    def __init__(self, model: str) -> None:
        from ray.serve.metrics import Counter, Gauge, Histogram

        tags = ("model",)
        self.tags = {"model": model}
        self._texts: Any = Histogram("xlnu_batch_texts", "Texts, or windows of texts, of a batch.", SIZES, tags)
        self._seconds: Any = Histogram("xlnu_batch_seconds", "The computing of a batch.", SECONDS, tags)
        self._waited: Any = Histogram("xlnu_wait_seconds", "A request's wait for its batch.", SECONDS, tags)
        self._tokens: Any = Counter("xlnu_batch_tokens", "Tokens that were computed.", tags)
        self._padded: Any = Counter("xlnu_batch_padding", "Places that were computed and held no token.", tags)
        self._waiting: Any = Gauge("xlnu_waiting", "Requests that wait for a batch.", tags)

    def done(self, batch: Done, waiting: int) -> None:
        self._texts.observe(batch.size.rows, self.tags)
        self._seconds.observe(batch.seconds, self.tags)
        self._tokens.inc(batch.size.tokens, self.tags)
        if batch.size.area > batch.size.tokens:
            self._padded.inc(batch.size.area - batch.size.tokens, self.tags)
        for seconds in batch.waited:
            self._waited.observe(seconds, self.tags)
        self._waiting.set(waiting, self.tags)
