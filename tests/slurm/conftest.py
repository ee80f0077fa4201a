"""A private Slurm for the session, and grids to run on it."""

from collections.abc import Callable, Iterator

import pytest
from cluster import PACKAGES, Cluster, missing_programs, private_slurm
from pipeline import CONFIG, Pipeline


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if missing := missing_programs():
        pytest.skip(f"no {', '.join(missing)}: apt-get install --no-install-recommends {' '.join(PACKAGES)}")
    with private_slurm() as running:
        yield running


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pipeline]:
    """A reduced grid of the demo: `grid("name", n=[2, 4])`."""
    base = tmp_path_factory.mktemp("grids")

    def make(name: str, n: list[int], *, cluster: Cluster | None = None) -> Pipeline:
        run = {"models": ["demo"], "datasets": ["scenes"], "settings": ["random"], "n": n, "probes": ["vanilla"]}
        config = {
            "models": {"demo": CONFIG["models"]["demo"]},
            "datasets": {"scenes": {"format": "scenes", "count": 60, "seed": 1}},
            "benchmark": {**CONFIG["benchmark"], "questions": 20, "orders": 3},
            # One presentation per batch in every grid: an end cuts between any two, and numbers may be compared to the
            # last bit, which batches of another composition move on some processors.
            "extraction": {**CONFIG["extraction"], "token_budget": 1},
            "scoring": {**CONFIG["scoring"], "methods": ["vanilla", "pride", "agd"]},
            "evaluation": {"resamples": 50},
            "runs": [run],
            "report": {
                "model": "demo",
                "dataset": "scenes",
                "artifacts": {"table1": {"settings": ["random"], "n": n[0]}},
            },
        }
        return Pipeline(base / name, config, cluster)

    return make


@pytest.fixture
def told(record_property) -> Callable[[str], None]:
    """Print a measured fact where `pytest -s` and the summary file show it."""

    def tell(fact: str) -> None:
        record_property("measured", fact)
        print(f"\nmeasured: {fact}")

    return tell
