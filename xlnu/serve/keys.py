"""Keys that let callers in. `python -m xlnu.serve.keys` makes one, and prints it and the hash that a configuration
holds: of a key with 32 random bytes, a plain hash gives nothing away.
"""

import hashlib
import hmac
import os
import secrets
import sys
from collections.abc import Mapping

from xlnu.errors import UserError

ENVIRONMENT = "XLNU_API_KEYS"
SHORTEST = 16


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def from_environment() -> dict[str, str]:
    found = {}
    for number, key in enumerate(filter(None, map(str.strip, os.environ.get(ENVIRONMENT, "").split(","))), 1):
        if len(key) < SHORTEST:
            raise UserError(
                f"{ENVIRONMENT}: key {number} is shorter than {SHORTEST} characters, and could be guessed"
            )
        found[f"environment-{number}"] = hashed(key)
    return found


def owner(header: str | None, hashes: Mapping[str, str]) -> str | None:
    """Whose key stands in an Authorization header; None: nobody's. All are compared, each in constant time."""
    scheme, _, key = (header or "").partition(" ")
    given = hashed(key.strip()) if scheme.lower() == "bearer" else ""
    found = None
    for name, known in hashes.items():
        if hmac.compare_digest(given, known):
            found = name
    return found


if __name__ == "__main__":
    made = "xlnu-" + secrets.token_urlsafe(32)
    sys.stdout.write(f"key   {made}\nhash  {hashed(made)}\n")
    sys.stderr.write("Give the key to whoever asks, and put the hash below api.keys: it is not shown again.\n")
