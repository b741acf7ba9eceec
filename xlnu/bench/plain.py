"""What a server is held against: the same model in an app as one writes it in an afternoon, which runs each request
as it comes. `python -m xlnu.bench.plain DIR PORT` serves it.
"""

import sys
from typing import Any


def app(folder: str) -> Any:
    import torch
    from fastapi import FastAPI
    from pydantic import BaseModel

    from xlnu import machine
    from xlnu.stack.predict import Predictor

    torch.set_num_threads(machine.cores())
    predictor = Predictor.open(folder)
    made = FastAPI()

    class Request(BaseModel):
        input: str
        language: str

    @made.get("/healthz")
    def healthz() -> str:
        return "ok"

    # not `def`: FastAPI would run forty of them at once, which is slower on two cores, and which tokenizers refuse
    @made.post("/v1/classify")
    async def classify(request: Request) -> dict[str, Any]:
        (one,) = predictor.read([[request.input]], [request.language])
        shares = one.logits.softmax(-1).tolist()
        best = max(range(len(shares)), key=shares.__getitem__)
        labels = predictor.config.labels
        return {
            "label": labels[best],
            "probability": shares[best],
            "labels": dict(zip(labels, shares, strict=True)),
        }

    return made


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
