"""A job's settings: dataclasses, YAML files that build on one another, and key=value.

Dataclasses own their defaults and their documentation; a part of xlnu declares its own and receives only it:

    @dataclass
    class FilterConfig:
        tau: float = setting(0.8, "translations scored below this are rejected", at_least=0, at_most=1)

Later sources win: defaults, then the file's `extends`, then the file, then the command line. What is wrong
with a value is said in one line: the key, what was given and where, and what is allowed.
"""

import copy
import dataclasses
import difflib
import functools
import math
import os
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from xlnu.errors import UserError

REQUIRED: Any = MISSING
COMMAND_LINE = "command line"

C = TypeVar("C")


def setting(
    default: Any,
    meaning: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    check: Callable[[Any], object] | None = None,
) -> Any:
    """A dataclass field with its meaning and what it allows.

    `check` is called with the value and raises ValueError to refuse it.
    """
    about = {"meaning": meaning, "at_least": at_least, "at_most": at_most, "above": above, "check": check}
    return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=about)


def section(config_class: type) -> Any:
    """A dataclass field that holds another part's dataclass."""
    return dataclasses.field(default_factory=config_class)


# ---------------------------------------------------------------------------------------------- the keys


@dataclasses.dataclass(frozen=True)
class Key:
    """One setting as the user writes it: its dotted name, its type, and what its dataclass says of it."""

    name: str
    type: Any
    default: Any
    about: typing.Mapping[str, Any]

    @property
    def allowed(self) -> str:
        """What may stand here, in words: "a number from 0 to 1"."""
        words = _type_in_words(self.type)
        low, high, above = (self.about.get(k) for k in ("at_least", "at_most", "above"))
        if low is not None and high is not None:
            return f"{words} from {low} to {high}"
        bounds = [("at least", low), ("at most", high), ("above", above)]
        return ", ".join([words, *(f"{name} {bound}" for name, bound in bounds if bound is not None)])

    def refuse(self, value: Any) -> str | None:
        """Why this value, of the right type already, is not allowed; None when it is."""
        low, high, above = (self.about.get(k) for k in ("at_least", "at_most", "above"))
        many = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        for one in many:
            if isinstance(one, int | float) and not isinstance(one, bool):
                fits = (low is None or one >= low) and (high is None or one <= high)
                if not (math.isfinite(one) and fits and (above is None or one > above)):
                    return f"allowed: {self.allowed}"
            if one == REQUIRED:
                return "a ??? stands for a value that must be given"
        check = self.about.get("check")
        if check is not None and value is not None:
            try:
                check(value)
            except ValueError as reason:
                return str(reason)
        return None


def _optional(of: Any) -> tuple[Any, bool]:
    if typing.get_origin(of) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(of) if kind is not type(None)]
        assert len(kinds) == 1, f"a setting has one type, or one type and None; not {of}"
        return kinds[0], True
    return of, False


_PLURAL = {float: "numbers", int: "whole numbers", str: "texts", bool: "true or false"}


def _type_in_words(of: Any) -> str:
    of, optional = _optional(of)
    simple = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
    kind, inner = typing.get_origin(of), typing.get_args(of)
    if of in simple:
        words = simple[of]
    elif kind is Literal:
        words = "one of " + ", ".join(map(str, inner))
    elif kind is list:
        values = typing.get_args(inner[0]) if typing.get_origin(inner[0]) is Literal else ()
        some = f"a list out of {', '.join(values)}"
        words = some if values else f"a list of {_PLURAL[inner[0]]}, as [one,two]"
    elif kind is dict:
        words = f"a map to {_PLURAL.get(inner[1], 'values')}, as {{one: two}}"
    else:
        raise TypeError(f"no setting can have the type {of}")
    return f"{words}, or null" if optional else words


def keys(config_class: type, prefix: str = "") -> Iterator[Key]:
    """Every setting below a dataclass, in the order of declaration."""
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        name, of = prefix + field.name, hints[field.name]
        if dataclasses.is_dataclass(of):
            yield from keys(typing.cast(type, of), name + ".")
        else:
            assert field.default_factory is not dataclasses.MISSING, f"{name}: declare it with setting(...)"
            yield Key(name, of, field.default_factory(), field.metadata)


def settings(config: object) -> dict[str, Any]:
    """Every setting's value by its dotted name."""
    return {key.name: functools.reduce(getattr, key.name.split("."), config) for key in keys(type(config))}


def describe(config_class: type) -> str:
    """Every key with what it allows, its default and its meaning: the second half of --help."""
    lines = []
    for key in keys(config_class):
        default = "(must be given)" if key.default == REQUIRED else f"= {shown(key.default)}"
        lines.append(f"  {key.name} {default}")
        meaning = f"{key.about['meaning']}. {key.allowed[0].upper()}{key.allowed[1:]}."
        lines += textwrap.wrap(meaning, 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A value as the user would write it on the command line."""
    if isinstance(value, list):
        return "[" + ",".join(map(shown, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value).removesuffix(".0" if isinstance(value, float) else "") if value != "" else "''"


# ---------------------------------------------------------------------------------------------- reading


class _Loader(yaml.BaseLoader):
    """Every scalar stays text, and becomes what its setting's type says: YAML's own guesses read the language
    `no` as false, 12:30 as 750 and 0012 as 10. A key that stands twice is refused, not overwritten.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(text: str, where: str) -> Any:
    try:
        content = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        hint = "; in a list, what holds a { stands in quotation marks: ['a/{language}.tsv']" * ("'{'" in problem)
        raise UserError(f"{place}: not YAML: {problem}{hint}") from None
    return "" if content is None else content


def _read_file(file: Path, built_on_by: tuple[Path, ...] = ()) -> list[tuple[str, dict[str, Any]]]:
    """The file's settings, those of the files it extends before its own."""
    try:
        text = file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        missing = isinstance(error, FileNotFoundError)
        why = "no such file" if missing else getattr(error, "strerror", "not UTF-8")
        by = f" (extended by {built_on_by[-1]})" if built_on_by else ""
        here = {near.name for near in file.parent.glob("*.y*ml")} - {file.name} if missing else set()
        raise UserError(f"{file}: {why}{by}{_did_you_mean(file.name, here)}") from None
    content = _parse(text, str(file))
    if content == "":
        return [(str(file), {})]
    if not isinstance(content, dict):
        raise UserError(f"{file}: a configuration is a map of keys to values, not {type(content).__name__}")
    found = _bases(content, file, built_on_by)
    for name, section_of in content.items():  # a section may build on a file that has the section's keys
        if isinstance(section_of, dict):
            found += [(where, {name: given}) for where, given in _bases(section_of, file, built_on_by)]
    return [*found, (str(file), content)]


def _bases(content: dict[str, Any], file: Path, built_on_by: tuple[Path, ...]) -> list[tuple[str, dict[str, Any]]]:
    """What the files hold that a map `extends`; it stands in the map no more."""
    bases, found = content.pop("extends", None) or [], []
    for base in [bases] if isinstance(bases, str) else bases:
        path = Path(os.path.normpath(file.parent / Path(str(base)).expanduser()))
        if path in (*built_on_by, file):
            raise UserError(f"{file}: extends {base}, which extends it in turn")
        found += _read_file(path, (*built_on_by, file))
    return found


def _read_arguments(arguments: Iterable[str], known: dict[str, Key]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not equals or not name:
            raise UserError(f"{argument!r} is not key=value; --help lists the keys")
        name = _whole(name, known)
        plain = name in known and _optional(known[name].type)[0] is str and text[:1] not in ("'", '"')
        settings[name] = text if plain else _parse(text, f"{name} ({COMMAND_LINE})")
    return settings


def _whole(name: str, known: Iterable[str]) -> str:
    """On the command line the last part of a name is enough where only one setting ends in it."""
    same = [key for key in known if key.rpartition(".")[2] == name]
    return same[0] if len(same) == 1 else name


def lacks(config_class: type, arguments: Iterable[str]) -> bool:
    """Whether the command line gives none of the settings that must be given."""
    known = {key.name: key for key in keys(config_class)}
    given = {_whole(argument.partition("=")[0], known) for argument in arguments}
    return not any(key.default == REQUIRED and name in given for name, key in known.items())


# ---------------------------------------------------------------------------------------------- composing


def _did_you_mean(given: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""


def _unknown(given: str, where: str, known: dict[str, Key]) -> UserError:
    last = given.rpartition(".")[2]
    same = [name for name in known if name.rpartition(".")[2] == last]
    if same:
        hint = f"; did you mean {' or '.join(same[:3])}?"
    else:
        whole = {name.rpartition(".")[2]: name for name in known}
        near = difflib.get_close_matches(last, whole, n=1, cutoff=0.7)
        hint = _did_you_mean(given, known) or (f"; did you mean {whole[near[0]]}?" if near else "")
    return UserError(f"{given}: no such key ({where}){hint or '; --help lists the keys'}")


def _leaves(
    given: dict[str, Any], where: str, known: dict[str, Key], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """The dotted names and values of a source, each known to be a setting's name."""
    for part, value in given.items():
        name = f"{prefix}{part}"
        below = [key for key in known if key.startswith(name + ".")]
        if name in known:
            yield name, value
        elif below and value in ("", "null", "~"):
            continue  # a section whose keys are all commented out
        elif below and isinstance(value, dict):
            yield from _leaves(value, where, known, name + ".")
        elif below:
            example = f"{below[0]}={shown(known[below[0]].default)}"
            raise UserError(f"{name}: is a section ({where}); set a key in it, as {example}")
        else:
            raise _unknown(name, where, known)


def _as_meant(value: Any, of: Any) -> Any:
    """The text of a source as its setting's type reads it, where OmegaConf would read it otherwise."""
    of, optional = _optional(of)
    if optional and value in ("null", "~", ""):
        return None
    if isinstance(value, list) and typing.get_origin(of) is list:
        return [_as_meant(one, typing.get_args(of)[0]) for one in value]
    if isinstance(value, dict) and typing.get_origin(of) is dict:
        return {key: _as_meant(one, typing.get_args(of)[1]) for key, one in value.items()}
    if of in (str, int, float, bool) and not isinstance(value, str):
        raise ValueError("a list or a map where one value belongs")
    if of is bool and "$" not in value and value.lower() not in _TRUE_OR_FALSE:
        raise ValueError("OmegaConf takes any number for true")
    if of is int and re.fullmatch(r"[0-9.]+[eE]\+?[0-9]+", value):
        return int(float(value)) if float(value).is_integer() else value  # 1e6 is a whole number to people
    return value


_TRUE_OR_FALSE = ("true", "false", "yes", "no", "on", "off", "1", "0")


def load(
    config_class: type[C],
    file: str | None = None,
    arguments: Iterable[str] = (),
    reading: Callable[[dict[str, Any]], dict[str, Any]] = lambda content: content,
) -> C:
    """The settings of a job from all their sources, checked. `reading`: what the content of a file means."""
    known = {key.name: key for key in keys(config_class)}
    files = [] if file is None else [(where, reading(given)) for where, given in _read_file(Path(file))]
    config = OmegaConf.structured(config_class)
    came_from: dict[str, str] = {}
    for where, given in [*files, (COMMAND_LINE, _read_arguments(arguments, known))]:
        came_from |= dict.fromkeys(_put(config, given, where, known), where)
    for name, key in known.items():
        _allowed(config, key, came_from.get(name, "the default"))
    return typing.cast(C, OmegaConf.to_object(config))


def of(config_class: type[C], given: dict[str, Any], where: str) -> C:
    """The settings that another program read from its own file, with its own idea of what a number is."""
    known = {key.name: key for key in keys(config_class)}
    config = OmegaConf.structured(config_class)
    came_from = dict.fromkeys(_put(config, _as_text(given), where, known), where)
    for name, key in known.items():
        _allowed(config, key, came_from.get(name, "the default"))
    return typing.cast(C, OmegaConf.to_object(config))


def _as_text(value: Any) -> Any:
    """As the YAML files of ours are read: every scalar as it was written."""
    if isinstance(value, dict):
        return {str(key): _as_text(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return str(value)


def varied(config: C, given: dict[str, Any], where: str) -> C:
    """The same settings but for some, which are given as a file gives them."""
    known = {key.name: key for key in keys(type(config))}
    read, made = OmegaConf.structured(type(config)), copy.deepcopy(config)
    for name in _put(read, given, where, known):
        *above, last = name.split(".")
        setattr(functools.reduce(getattr, above, made), last, _allowed(read, known[name], where))
    return made


def _put(config: Any, given: dict[str, Any], where: str, known: dict[str, Key]) -> list[str]:
    """A source's values into an OmegaConf, and their names."""
    names = []
    for name, value in _leaves(given, where, known):
        try:
            OmegaConf.update(config, name, _as_meant(value, known[name].type), merge=False)
        except (OmegaConfBaseException, ValueError):
            hint = "; a ${ that is meant as text is written \\${" if "${" in str(value) else ""
            problem = f"got {shown(value)} ({where}); allowed: {known[name].allowed}{hint}"
            raise UserError(f"{name}: {problem}") from None
        names.append(name)
    return names


def _allowed(config: Any, key: Key, where: str) -> Any:
    """The value of a setting; UserError where it is none that is allowed."""
    value = _resolved(config, key, where)
    reason = key.refuse(value)
    if reason is not None:
        raise UserError(f"{key.name}: got {shown(value)} ({where}); {reason}")
    return value


def _resolved(config: Any, key: Key, where: str) -> Any:
    try:
        value = OmegaConf.select(config, key.name, throw_on_missing=True)
        if OmegaConf.is_config(value):
            return OmegaConf.to_container(value, resolve=True)
        return value
    except OmegaConfBaseException as error:
        if isinstance(error, MissingMandatoryValue):  # OmegaConf.is_missing does not look into sections
            problem = f"must be given, as {key.name}=VALUE; {key.about['meaning']}"
        else:
            problem = f"{str(error).splitlines()[0].rpartition('interpolation: ')[2]} ({where})"
        raise UserError(f"{key.name}: {problem}") from None


def to_yaml(config: object) -> str:
    """The resolved settings, in the form that --config reads back."""
    plain = _escaped(dataclasses.asdict(config))  # type: ignore[call-overload]
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _escaped(value: Any) -> Any:
    """A text that holds ${ would be read back as a reference to something else."""
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value
