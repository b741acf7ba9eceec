"""What Ray Serve's proxies, which stand before every process of ours, are to do with a request.

Ray takes this from the environment of each node, as the job and the manifest set it:
RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=xlnu.serve.proxies:middlewares.
"""

from starlette.middleware import Middleware

from xlnu.serve.again import Again
from xlnu.serve.crowd import Crowd


def middlewares() -> list[Middleware]:
    return [Middleware(Crowd), Middleware(Again)]
