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

    def make(name: str, n: list[int], *, questions: int = 20, orders: int = 5, cluster: Cluster | None = None, **more):
        run = {"models": ["demo"], "datasets": ["scenes"], "settings": ["random"], "n": n, "probes": ["vanilla"]}
        config = {
            "models": {"demo": CONFIG["models"]["demo"]},
            "datasets": {"scenes": {"format": "scenes", "count": 200, "seed": 1}},
            "benchmark": {**CONFIG["benchmark"], "questions": questions, "orders": orders},
            "evaluation": {"resamples": 200},
            "runs": [run],
            "report": {
                "model": "demo",
                "dataset": "scenes",
                "artifacts": {"table1": {"settings": ["random"], "n": n[0]}},
            },
            **more,
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
