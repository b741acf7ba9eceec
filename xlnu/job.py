"""How every job starts, speaks and ends.

    python jobs/NAME.py [--config FILE] [--plan] [--help] [key=value ...]

It ends with 0; with 2 and one line on stderr for the user's mistake; else with 1. stdout holds what was asked for
(the plan, the help, a table) and, as its last line, the path of what the job left.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Protocol, TypeVar

from xlnu import __version__
from xlnu.config import describe, lacks, load, to_yaml
from xlnu.errors import Halt, UserError
from xlnu.run import FolderConfig, Run, print_out

CONFIG_FILE = "config.yaml"


class HasRun(Protocol):
    @property
    def run(self) -> FolderConfig: ...


C = TypeVar("C", bound=HasRun)


@dataclass
class _Options:
    config: str | None = None
    plan: bool = False
    help: bool = False
    settings: list[str] = field(default_factory=list)


def _read_options(arguments: Sequence[str]) -> _Options:
    options, rest = _Options(), list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        if argument in ("--help", "-h"):
            options.help = True
        elif argument == "--plan":
            options.plan = True
        elif name == "--config":
            if options.config is not None:
                raise UserError(
                    "--config stands twice; a file can build on others with `extends: [one.yaml, two.yaml]`"
                )
            options.config = value if equals else rest.pop(0) if rest else ""
            if not options.config:
                raise UserError("--config needs a file: --config FILE")
        elif name in ("--plan", "--help"):
            raise UserError(f"{name} takes no value")
        elif argument.startswith("-"):
            instead = f"; settings are written without dashes: {argument.lstrip('-')}" if equals else ""
            raise UserError(f"{name}: no such option; there are --config FILE, --plan and --help{instead}")
        else:
            options.settings.append(argument)
    return options


def job(
    name: str,
    config_class: type[C],
    work: Callable[[C, Run], None],
    about: str | None,
    config: Path | None = None,
    arguments: Sequence[str] | None = None,
    usage: str = "",
    reading: Callable[[dict[str, Any]], dict[str, Any]] = lambda content: content,
    yours: Path | None = None,
) -> NoReturn:
    """Run a job from the command line; `work` gets its config and a Run. `config`: the file if none is given.
    `usage`: how it is called, if not by its name. `reading`: what a file's content means. `yours`: the file if none
    is given, and none of the settings that must be given is: it is no base for somebody else's data.
    """
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(_job(name, usage or f"{name}.py", config_class, work, about or "", config, yours, given, reading))


def _job(
    name: str,
    command: str,
    config_class: type[C],
    work: Callable[[C, Run], None],
    about: str,
    default: Path | None,
    yours: Path | None,
    arguments: Sequence[str],
    reading: Callable[[dict[str, Any]], dict[str, Any]],
) -> int:
    try:
        options = _read_options(arguments)
        if options.help:
            usage = f"usage: python jobs/{command} [--config FILE] [--plan] [--help] [key=value ...]"
            print_out(f"{about.strip()}\n\n{usage}\n\n{describe(config_class)}")
            return 0
        if yours and not options.config and lacks(config_class, options.settings):
            default = yours
            sys.stderr.write(f"{name}: settings: {os.path.relpath(yours)}\n")
        file = options.config or (None if default is None else str(default))
        config = load(config_class, file, options.settings, reading)
        signal.signal(signal.SIGTERM, _interrupt)  # what a spot machine or `ray job stop` sends first
        run = Run(name, config, options.plan)
        if not options.plan:
            run.put(CONFIG_FILE, f"# xlnu {__version__}, {name}\n{to_yaml(config)}".encode())
        work(config, run)
    except Halt as halt:
        sys.stderr.write(f"{name}: {' '.join(str(halt).split())}\n")
        return halt.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted; what is finished is kept: the same command goes on from there\n")
        return 1
    except BrokenPipeError:  # `| head` has read enough
        sys.stderr.close()
        return 1
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
