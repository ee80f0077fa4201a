"""All that has to be known about a GPU, in one command of at most 8 minutes: `make gpu`.

    python -m benchmarks.gpu [--out results/gpu] [--budget 480] [--part "speed: qwen2.5-vl-3b" ...]
    python -m benchmarks.gpu --device cpu --small        # the same command with tiny models, without a GPU

It needs what extraction needs and nothing else; nothing is downloaded. Each part (`benchmarks.gpu_parts`) has a process
and a time limit of its own (`benchmarks.guarded`), and is written down as it ends: `results.jsonl` with a line for
every measurement and every part's end, `summary.md`, and `log.txt` with all that was printed.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from benchmarks.guarded import Fact, Guard, Outcome, Part

BUDGET: Final = 480.0
MODELS: Final = ("llava-onevision-1.5-8b", "qwen2.5-vl-3b", "internvl3-8b")
"""As of `benchmarks.geometries`; not imported from there, so that this process needs no torch."""
TINY: Final = ("llava_onevision15", "qwen2_5_vl", "internvl")
"""Families of the same architectures, as of `benchmarks.architectures`."""
IMPORTED: Final = ("benchmarks.gpu_parts", "benchmarks.architectures")
ENVIRONMENT: Final = {
    # Else to ask whether there is a GPU makes CUDA useless in processes that are forked later.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_STARTS: Final = ("forkserver", "spawn")
"""How processes start: the second, which imports all anew, where the first gives none that can use the device."""


def parts(device: str, small: bool) -> list[Part]:
    """All parts in their order, with the seconds that each may take on a card."""
    options: dict[str, Any] = {"device": device, "small": small}
    models = TINY if small else MODELS
    one = models[1]

    def part(name: str, work: str, limit: float, **more: Any) -> Part:
        return Part(name, f"benchmarks.gpu_parts:{work}", limit, {**options, **more})

    return [
        part("tests", "tests", 150),
        part("parity", "parity", 45),
        *(part(f"speed: {model}", "speed", 75, model=model) for model in models),
        *(part(f"price: {model}", "price", 40, model=model) for model in models),
        part("vision tower", "tower", 30, model=one),
        part("null query", "null_query", 40, model=one),
        part("two digits", "two_digits", 30, model=one),
        part("ties", "ties", 40, model="demo"),
    ]


def machine(device: str, small: bool) -> Part:
    """The part before all others."""
    return Part("machine", "benchmarks.gpu_parts:machine", 60, {"device": device, "small": small})


class Report:
    """The folder of results: what is told is in its files at once.

    Args:
        folder: emptied of an earlier run's results.
        names: of all parts, in their order.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.names = names
        self.facts: list[Fact] = []
        self.outcomes: dict[str, Outcome] = {}
        for name in ("results.jsonl", "log.txt", "summary.md"):
            (folder / name).unlink(missing_ok=True)

    def take(self, told: Fact | Outcome) -> None:
        """Write down what a part tells, or how it ended."""
        if isinstance(told, Outcome):
            self.outcomes[told.part] = told
            # Not a name that a measurement has as well.
            line = {"part": told.part, "status": told.status, "took": round(told.seconds, 2), "reason": told.reason}
        else:
            self.facts.append(told)
            line = told
        with (self.folder / "results.jsonl").open("a") as results:
            results.write(json.dumps(line) + "\n")
            results.flush()
            os.fsync(results.fileno())
        if isinstance(told, Outcome):
            self._write_summary()

    def _write_summary(self) -> None:
        whole = self.folder / "summary.md.new"
        whole.write_text(summary(self.facts, [self.outcomes[name] for name in self.names if name in self.outcomes]))
        whole.replace(self.folder / "summary.md")


def summary(facts: Sequence[Fact], outcomes: Sequence[Outcome]) -> str:
    """What was found, as Markdown: the machine, how the parts ended, and a table for every kind of measurement."""
    by_kind: dict[str, list[Fact]] = {}
    for fact in facts:
        by_kind.setdefault(fact["kind"], []).append(fact)
    lines = ["# On a GPU", ""]
    for fact in by_kind.pop("machine", []):
        lines += [", ".join(f"{name} {_cell(value)}" for name, value in _shown(fact).items()), ""]
    ended = [(one.part, one.status, f"{one.seconds:.1f}", one.reason) for one in outcomes]
    lines += [*_table(("part", "ended", "s", "reason"), ended), ""]
    for kind, told in by_kind.items():
        columns = list(dict.fromkeys(name for fact in told for name in _shown(fact)))
        lines += [f"## {kind.capitalize()}", ""]
        lines += [*_table(columns, ([_cell(fact.get(name, "")) for name in columns] for fact in told)), ""]
    return "\n".join(lines)


def _shown(fact: Fact) -> Fact:
    return {name: value for name, value in fact.items() if name not in ("part", "kind")}


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) or (isinstance(value, int) and abs(value) >= 1e6):
        return f"{value:.4g}"
    return str(value)


def default_folder() -> Path:
    """Where results go: the folder that OUT names, as machines that are lent want it, or results/gpu."""
    return Path(os.environ.get("OUT") or "results/gpu")


def main(
    device: Annotated[str, typer.Option(help="cuda, or cpu to try the command.")] = "cuda",
    small: Annotated[bool, typer.Option("--small", help="Tiny models in place of the published sizes.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; by default $OUT or results/gpu.")] = None,
    budget: Annotated[float, typer.Option(help="Seconds for all parts together.")] = BUDGET,
    part: Annotated[list[str] | None, typer.Option(help="Only these parts.")] = None,
) -> None:
    """Test and measure extraction on one GPU; what cannot be done is written down, and the rest goes on."""
    if device == "cpu" and not small:
        raise typer.BadParameter("on a CPU the published sizes take hours; add --small", param_hint="--device")
    chosen = parts(device, small)
    if unknown := set(part or ()).difference(one.name for one in chosen):
        names = ", ".join(f"'{one.name}'" for one in chosen)
        raise typer.BadParameter(f"no part is called '{min(unknown)}'; there are {names}", param_hint="--part")
    chosen = [one for one in chosen if not part or one.name in part]
    folder = out or default_folder()
    report = Report(folder, ["machine", *(one.name for one in chosen)])
    os.environ.update(ENVIRONMENT)
    began = time.monotonic()
    guard = Guard(budget, folder / "log.txt")
    for start in _STARTS:
        guard.restart(start, IMPORTED)
        first = _run(guard, machine(device, small), report)
        if first.status == "done":
            break
    else:
        print(f"{device} cannot be used here: {first.reason}", file=sys.stderr)
        raise typer.Exit(1)
    ended = [_run(guard, one, report) for one in chosen]
    well = sum(one.status == "done" for one in ended)
    print(f"{well} of {len(ended)} parts done in {time.monotonic() - began:.0f} s; {folder / 'summary.md'}")
    raise typer.Exit(0 if well == len(ended) else 1)


def _run(guard: Guard, part: Part, report: Report) -> Outcome:
    for told in guard.run(part):
        report.take(told)
        if isinstance(told, Outcome):
            why = f"; {told.reason}" if told.reason else ""
            print(f"{told.part}: {told.status}, {told.seconds:.1f} s{why}", flush=True)
            return told
    raise AssertionError("a part's outcome comes last")


if __name__ == "__main__":
    typer.run(main)
