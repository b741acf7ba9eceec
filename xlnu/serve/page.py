"""The page at /, and the reference at /docs. Neither asks for anything from elsewhere, and a browser is told so."""

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

PAGE = Path(__file__).with_name("page.html")


def add(app: FastAPI) -> None:
    html = PAGE.read_text(encoding="utf-8")
    # fastapi-offline is there for its copy of Swagger UI, which FastAPI would have the browser fetch from a CDN
    static = StaticFiles(directory=str(files("fastapi_offline") / "static"))
    app.mount("/docs/static", static, name="static")
    docs = bytes(
        get_swagger_ui_html(
            openapi_url="openapi.json",
            title="xlnu",
            swagger_js_url="docs/static/swagger-ui-bundle.js",
            swagger_css_url="docs/static/swagger-ui.css",
            swagger_favicon_url="docs/static/favicon.png",
        ).body
    ).decode()

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return _html(html)

    @app.get("/docs", include_in_schema=False)
    async def reference() -> HTMLResponse:
        return _html(docs)


def _html(text: str) -> HTMLResponse:
    scripts = " ".join(map(_hash, re.findall(r"<script>(.*?)</script>", text, re.DOTALL)))
    policy = (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(text, headers={"Content-Security-Policy": policy, "X-Frame-Options": "DENY"})


def _hash(script: str) -> Any:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
