"""A detector as a user would write one."""


class Telling:
    names = {"eng_Latn", "qab_Cyrl"}  # noqa: RUF012

    def of(self, text: str) -> str | None:
        if not any(c.isalpha() for c in text):
            return None
        return "qab_Cyrl" if any(c > "\u0400" for c in text) else "eng_Latn"
