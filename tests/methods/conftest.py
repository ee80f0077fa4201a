import pytest
from cases import SIZES, Case


@pytest.fixture(params=SIZES, ids=lambda n: f"N={n}")
def case(request) -> Case:
    return Case(request.param)
