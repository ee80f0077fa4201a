"""What the site has beside docs/: the start page, which is README.md, and each repository file that a page links to.

The pages have two readers: one on the site, one in the repository itself. A link is written as it works in the
repository (`../config/paper.yaml`). MkDocs calls the two functions below: the first makes each such file a page of the
site, the second lets the link lead there. So the site needs neither a network nor the repository's address.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import Any, Final

PAGES: Final = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the repository's root that stand in the navigation, by their place on the site."""

_LINK: Final = re.compile(r"(\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_CODE: Final = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)
_LANGUAGES: Final = {"py": "python", "sql": "sql", "yaml": "yaml", "yml": "yaml", "cff": "yaml", "smk": "python"}


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside docs/, and every file that a page links to."""
    from mkdocs.structure.files import File

    root = Path(config.config_file_path).parent
    waiting = [*PAGES, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        path = f"docs/{notebook.src_uri}"
        text = as_page((root / path).read_text(encoding="utf-8"))
        files.remove(notebook)
        files.append(File.generated(config, place_of(path), content=text))
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        text = (root / path).read_text(encoding="utf-8")
        if not path.startswith("docs/"):
            files.append(File.generated(config, place_of(path), content=_page(path, text)))
        linked = targets(path, text) if path.endswith(".md") else []
        found = {target for target in linked if (root / target).is_file() and not target.startswith("docs/")}
        waiting += sorted(found - seen)
        seen |= found
    return files


def as_page(notebook: str) -> str:
    """A notebook as Markdown: its texts, its code, and what the code gave, pictures included."""
    parts = []
    for cell in json.loads(notebook)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            if image := output.get("data", {}).get("image/png"):
                parts.append(f"![what the code above draws](data:image/png;base64,{image.replace(chr(10), '')})")
            elif said := "".join(output.get("text", "")).rstrip():
                parts.append(f"```text\n{said}\n```")
    return "\n\n".join(parts) + "\n"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links as they work in the repository, turned into links as they work on the site."""
    place: str = page.file.src_uri
    sources = {place_of(path): path for path in PAGES}
    source = sources.get(place, place.removeprefix("files/") if place.startswith("files/") else f"docs/{place}")
    folder = posixpath.dirname(place) or "."

    def turned(link: re.Match[str]) -> str:
        before, target, after = link.groups()
        if not is_relative(target):
            return link[0]
        return before + posixpath.relpath(place_of(from_root(source, target)), folder) + after

    parts = _CODE.split(markdown)  # code is every second part, and shows what it shows
    return "".join(part if number % 2 else _LINK.sub(turned, part) for number, part in enumerate(parts))


def place_of(path: str) -> str:
    """Where a file of the repository lies on the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/").replace(".ipynb", ".md")
    return PAGES.get(path) or f"files/{path}" + ("" if path.endswith(".md") else ".md")


def targets(path: str, text: str) -> list[str]:
    """The files that a document links to by a relative path, from the repository's root."""
    prose = "".join(_CODE.split(text)[::2])
    return [from_root(path, target) for _, target, _ in _LINK.findall(prose) if is_relative(target)]


def from_root(path: str, target: str) -> str:
    """Where a link of the document `path` leads, from the repository's root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def is_relative(target: str) -> bool:
    """Whether the link leads to a file beside the document, rather than to an address or a place of the same page."""
    return not re.match(r"[a-z]+:|/|#", target)


def _page(path: str, text: str) -> str:
    """The file as a page: Markdown as it is, all else as code. Search leaves it out: it finds what the pages say."""
    if path in PAGES:
        return text
    hidden = "---\nsearch:\n  exclude: true\n---\n\n"
    if path.endswith(".md"):
        return hidden + text
    language = _LANGUAGES.get(Path(path).suffix.removeprefix("."), "text")
    return f"{hidden}# {path}\n\n````{language}\n{text.rstrip()}\n````\n"
