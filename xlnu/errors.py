"""The two ways a job stops on purpose: one line on stderr, no traceback. Any other exception is a fault of ours."""


class Halt(Exception):
    """The job cannot go on, through no mistake in its input: a damaged store, a lost lock. Exit code 1."""

    exit_code = 1


class UserError(Halt, ValueError):
    """Something the user gave is wrong: what, where, and what to do. Exit code 2."""

    exit_code = 2


def first_line(error: BaseException) -> str:
    """What of an exception fits into one line: many say the rest at length."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]
