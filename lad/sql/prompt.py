"""The prompt of `lad sql`: statements over several lines, history, completion of relations, columns and keywords.

prompt_toolkit, because DuckDB's Python package has neither its own prompt nor, without a download, its completion.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import platformdirs
from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from lad import catalog
from lad.refusal import Refusal
from lad.spelling import did_you_mean
from lad.sql import recipes
from lad.sql.output import rendered
from lad.sql.session import Session

HELP: Final = """\
A statement ends with a semicolon and may take several lines. Tab completes. Ctrl-C stops a query or drops a line.
.tables          the relations and what they hold
.schema NAME     the columns of a relation and their meanings
.recipe [NAME]   answer a ready query; without a name, list them
.help            this
.quit            end, as Ctrl-D does"""

_RELATIONS: Final = {**catalog.RELATIONS, **catalog.RECORDED}


def history() -> History:
    """What was asked before, in the user's state folder; of this session alone where that cannot be written in."""
    file = platformdirs.user_state_path("lad") / "sql_history"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))


def run(session: Session, results: Path) -> None:
    """Answer statements until the user ends it with Ctrl-D or `.quit`."""
    prompt: PromptSession[str] = PromptSession(
        message="lad> ",
        history=history(),
        completer=SqlCompleter(session),
        complete_while_typing=False,
        lexer=PygmentsLexer(SqlLexer),
        multiline=True,
        prompt_continuation=lambda width, line, wrapped: "   > ".rjust(width),
        key_bindings=_keys(),
    )
    print(f"{results}: {', '.join(_RELATIONS)}\n.help says what else there is; Ctrl-D ends.")
    while True:
        try:
            text = prompt.prompt().strip()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if text in (".quit", ".exit"):
            return
        try:
            _command(session, text) if text.startswith(".") else _statements(session, text)
        except KeyboardInterrupt:
            _say("interrupted")
        except (Refusal, OSError) as error:
            _say(f"error: {error}")


def _keys() -> KeyBindings:
    """Enter ends a finished statement, and breaks the line of one that is not."""
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        text = buffer.document.text.strip()
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif not text or text.startswith(".") or text.endswith(";"):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=True)

    return keys


def _statements(session: Session, text: str) -> None:
    for statement in session.statements(text):
        shown = session.answer(statement, lambda answer: rendered(answer, "table", _width()))
        if shown:
            print(shown.decode(), end="")


def _command(session: Session, text: str) -> None:
    name, _, argument = text.rstrip("; ").partition(" ")
    argument = argument.strip()
    commands: dict[str, Callable[[], None]] = {
        ".help": lambda: print(HELP),
        ".tables": lambda: print("\n".join(f"{n}: {r.contract.meaning}" for n, r in _RELATIONS.items())),
        ".schema": lambda: print(_schema(argument)),
        ".recipe": lambda: _recipe(session, argument),
    }
    if name not in commands:
        raise Refusal(f"no command {name}{did_you_mean(name, commands)}; there are {', '.join(commands)} and .quit")
    commands[name]()


def _schema(name: str) -> str:
    if name not in _RELATIONS:
        raise Refusal(f"no relation '{name}'{did_you_mean(name, _RELATIONS)}; .schema takes one of .tables")
    return catalog.describe([name]).strip()


def _recipe(session: Session, name: str) -> None:
    if not name:
        print(recipes.overview())
        return
    recipe = recipes.find(name)
    print(recipe.sql)
    _statements(session, recipe.sql)


def _width() -> int:
    return shutil.get_terminal_size().columns


def _say(message: str) -> None:
    print_formatted_text(FormattedText([("ansired", message)]))


class SqlCompleter(Completer):
    """Relations, their columns, and the keywords of DuckDB.

    Behind `from` and `join` relations come first; behind `name.` the columns of that relation or alias; otherwise the
    columns of the relations that the statement names, or of all where it names none yet.
    """

    def __init__(self, session: Session) -> None:
        connection = session.connection
        self._columns = {name: connection.table(name).columns for name in _RELATIONS}
        words = connection.sql("select keyword_name, keyword_category = 'reserved' from duckdb_keywords()").fetchall()
        self._keywords = sorted(word for word, _ in words)
        self._reserved = {word for word, reserved in words if reserved}

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        before = document.text_before_cursor
        typed = re.search(r'[\w."-]*$', before)
        word = typed.group() if typed else ""
        for text, meta in self._choices(before[: len(before) - len(word)], word, document.text):
            if text.casefold().startswith(word.casefold()) and text != word:
                yield Completion(text, -len(word), display_meta=meta)

    def _choices(self, before: str, word: str, text: str) -> list[tuple[str, str]]:
        """What may stand here, with what it is."""
        if text.lstrip().startswith("."):
            return self._of_commands(before)
        qualifier, dot, _ = word.rpartition(".")
        if dot:
            relation = self._aliases(text).get(qualifier, qualifier)
            return [(f"{qualifier}.{self._name(c)}", relation) for c in self._columns.get(relation, ())]
        relations = [(name, "relation") for name in self._columns]
        if re.search(r"\b(from|join)\s+$", before, re.IGNORECASE):
            return relations
        named = [name for name in self._columns if re.search(rf"\b{name}\b", text)] or list(self._columns)
        columns = dict.fromkeys(self._name(column) for name in named for column in self._columns[name])
        taken = {*columns, *self._columns}
        keywords = [(word, "keyword") for word in self._keywords if word not in taken]
        return [*((column, "column") for column in columns), *relations, *keywords]

    def _of_commands(self, before: str) -> list[tuple[str, str]]:
        match before.strip():
            case "":
                return [(name, "") for name in (".help", ".quit", ".recipe", ".schema", ".tables")]
            case ".schema":
                return [(name, "relation") for name in self._columns]
            case ".recipe":
                return [(name, recipe.question) for name, recipe in recipes.recipes().items()]
            case _:
                return []

    def _aliases(self, text: str) -> dict[str, str]:
        """By their other names the relations of the statement."""
        found = re.findall(rf"\b({'|'.join(self._columns)})\s+(?:as\s+)?(\w+)", text, re.IGNORECASE)
        return {alias: relation.lower() for relation, alias in found}

    def _name(self, column: str) -> str:
        return f'"{column}"' if column in self._reserved else column
