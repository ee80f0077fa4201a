"""The base of all errors that people can mend: their message is one line, whatever a file holds."""


class Refusal(ValueError):  # noqa: N818 - the base of errors; their own names end in Error
    """Input that is not taken. The message says what, where, what is allowed and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """The text on one line, on which every character can be seen: what a file holds may break lines or turn text."""
    lines = (line.strip() for line in text.split("\n"))
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in " ".join(line for line in lines if line)
    )
