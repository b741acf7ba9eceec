"""What a record means: the instruction in it, as a row, or the reason why it is none.

A record is told by its keys. {"messages"} or {"conversations"} is a chat. {"instruction"} or {"prompt"} stands with
"input" (Dolly: "context") and "output", "completion" or "response". "instances", as in the seed tasks of
self-instruct, are a row each.

Texts stay as they are, but for \\r\\n, which becomes \\n. The inputs "<no input>", "No input", "noinput" and
"<noinput>" of Alpaca's file are none, and blank ones too. null is nothing, and so is NaN, which pandas writes.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from xlnu.errors import UserError
from xlnu.rows import row_id

Row = dict[str, Any]
Records = Iterator[tuple[str, Any]]  # each with its origin

INSTRUCTION, INPUT, OUTPUT = ("instruction", "prompt"), ("input", "context"), ("output", "completion", "response")
TOLD_BY = ("messages", "conversations", *INSTRUCTION)
COLUMNS = (*TOLD_BY, *INPUT, *OUTPUT, "instances", "system")
ROLES = {
    role: meant
    for meant, roles in {
        "system": ("system", "developer"),
        "user": ("user", "human"),
        "assistant": ("assistant", "gpt", "chatgpt", "model"),
    }.items()
    for role in roles
}
NO_INPUT = re.compile(r"\s*(<?no ?input>?\s*)?", re.IGNORECASE)
FORMS = "give Alpaca (instruction, input, output), chats (messages or conversations) or prompt and completion"


class Reject(Exception):
    """Why a record is no instruction, in few words that many share."""


def known_columns(columns: Iterable[str], place: str) -> list[str]:
    known = [name for name in columns if name in COLUMNS]
    if not set(known) & set(TOLD_BY):
        raise UserError(f"{place}: none of its columns holds instructions ({', '.join(columns)}); {FORMS}")
    return known


def apart(origin: str, record: Any) -> Records:
    """The instances of one instruction as records of their own."""
    instances = record.get("instances") if isinstance(record, dict) else None
    if not isinstance(instances, list):
        yield origin, record
        return
    for number, instance in enumerate(instances or [None], 1):
        one = record | instance if isinstance(instance, dict) else Reject("no instance")
        yield origin if len(instances) < 2 else f"{origin}#{number}", one


def as_row(origin: str, record: Any, turns: str) -> Row:
    try:
        system, instruction, about, output = _texts(record, turns)
    except Reject as reject:
        nothing = {"system": None, "instruction": "", "input": "", "output": None}
        return rejected(origin, str(reject)) | nothing
    return {
        "id": row_id(instruction, about, *([system] if system else [])),
        "reject": None,
        "origin": origin,
        "system": system or None,
        "instruction": instruction,
        "input": about,
        "output": output,
    }


def rejected(origin: str, reason: str) -> Row:
    return {"id": row_id("rejected", origin), "reject": reason, "origin": origin}


def _texts(record: Any, turns: str) -> tuple[str | None, str, str, str | None]:
    if isinstance(record, Reject):
        raise record
    if not isinstance(record, dict):
        raise Reject("not an object")
    system, about = _text(_first(record, ("system",)), "system"), ""
    chat = _first(record, ("messages", "conversations"))
    if chat is not None:
        said, instruction, output = _exchange(chat, turns)
        system = said or system
    else:
        instruction = _text(_first(record, INSTRUCTION), "instruction")
        about = _text(_first(record, INPUT), "input") or ""
        output = _text(_first(record, OUTPUT), "output")
    if not instruction or not instruction.strip():
        raise Reject("no instruction")
    together = "".join([system or "", instruction, about, output or ""])
    if "\0" in together:
        raise Reject("holds NUL")
    try:
        together.encode()
    except UnicodeEncodeError:  # half a pair of surrogates, or bytes that are not UTF-8
        raise Reject("not valid Unicode") from None
    return system, instruction, "" if NO_INPUT.fullmatch(about) else about, output


def _first(record: Row, keys: Iterable[str]) -> Any:
    found = (record[key] for key in keys if record.get(key) is not None)
    return next((value for value in found if value == value), None)  # NaN alone is not itself


def _text(value: Any, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise Reject(f"{name} is not text")
    return value and value.replace("\r\n", "\n")


def _exchange(chat: Any, turns: str) -> tuple[str, str | None, str | None]:
    """The system message of a chat, and its first exchange."""
    if not isinstance(chat, list) or not all(isinstance(message, dict) for message in chat):
        raise Reject("not a chat")
    roles = [ROLES.get(str(_first(message, ("role", "from")))) for message in chat]
    if None in roles:
        raise Reject("unknown role")
    if "user" not in roles:
        raise Reject("no user turn")
    start = next(place for place, role in enumerate(roles) if role != "system")
    user, *answers = roles[start : start + 2]
    if user != "user":
        raise Reject("answer before the user turn")
    if answers not in ([], ["assistant"]):
        raise Reject("user turn without an answer")
    if turns == "single" and len(roles) > start + 2:
        raise Reject("more than one exchange")
    system = "\n".join(_content(message, "system") or "" for message in chat[:start])
    output = _content(chat[start + 1], "output") if answers else None
    return system, _content(chat[start], "instruction"), output


def _content(message: Row, name: str) -> str | None:
    value = _first(message, ("content", "value"))
    if isinstance(value, list):
        if not all(isinstance(part, dict) and part.get("type") == "text" for part in value):
            raise Reject("not only text")
        value = "".join(_text(part.get("text"), name) or "" for part in value)
    return _text(value, name)
