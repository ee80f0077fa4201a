"""ICR: the attention that the query adds."""

import numpy as np
import oracle
import pytest
from cases import array_of, evaluation_signals, scores_of
from signals_factory import random_signals, replace_column

from lad.methods import ScoringError, parse_method, score
from lad.parquet import nested_lists


@pytest.mark.parametrize("tokens", ["suffix", "query"])
def test_icr_sums_what_the_query_adds_over_all_layers(case, tokens):
    attention, null = (array_of(case.table, f"{which}{tokens}_attention") for which in ("", "null_"))
    expected = [oracle.icr(*one) for one in zip(attention, null, strict=True)]
    np.testing.assert_allclose(case.scores(f"icr;tokens={tokens}"), expected, atol=1e-9)


def test_the_filtered_sums_are_those_of_extraction(case):
    np.testing.assert_array_equal(case.scores("icr;filter=yes"), array_of(case.table, "filtered_attention"))


def test_what_is_added_to_a_position_whatever_is_asked_cancels():
    table, extra = evaluation_signals(1), np.array([0.5, 0, 0.25, 1])
    moved = table
    for column in ("suffix_attention", "null_suffix_attention"):
        moved = replace_column(moved, column, nested_lists((array_of(table, column) + extra).astype(np.float32)))
    np.testing.assert_allclose(scores_of(score(moved, None, "icr")), scores_of(score(table, None, "icr")), atol=1e-6)


def test_signals_without_the_null_query_are_refused_with_what_keeps_it():
    rows = random_signals(0, rounds=3, split="evaluation", rows=True)
    with pytest.raises(
        ScoringError, match="behind the candidates where the query is N/A; extract with --keep rows --keep null_query"
    ):
        score(rows, None, "icr")
    unfiltered = evaluation_signals(0).drop_columns("filtered_attention")
    with pytest.raises(ScoringError, match="no filtered_attention; extract with --keep rows --keep null_query"):
        score(unfiltered, None, "icr;filter=yes")
    with pytest.raises(ScoringError, match="filter=yes goes with tokens=suffix"):
        parse_method("icr;tokens=query;filter=yes")
