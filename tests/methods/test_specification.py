"""A method and its options as text and as a mapping: both say the same, and what cannot be is refused."""

from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lad.methods import METHODS, ScoringError, parse_layers, parse_method
from lad.methods.options import Option, Purifies


def test_a_specification_overrides_the_defaults_it_names():
    method, options, variant = parse_method("agd;k=4;layers=2-5", {"temperature": 3, "top_k": 1})
    assert (method.name, variant) == ("agd", "k=4;layers=2-5")
    assert options == Purifies(temperature=3, top_k=4, layers=(2, 5))
    assert parse_method("agd") == (METHODS["agd"], Purifies(), "")
    assert parse_method("agd;prior=no;k=4") == parse_method("agd;k=4;prior=no")
    assert parse_layers("21-35") == (21, 35)


def test_a_mapping_says_the_same_as_text():
    read = yaml.safe_load("{method: agd, top_k: 4, prior: no, temperature: 0.5, layers: [2, 5]}")
    assert parse_method(read) == parse_method("agd;k=4;prior=no;tau=0.5;layers=2-5")
    assert parse_method(read).text == "agd;k=4;layers=2-5;prior=no;tau=0.5"
    assert parse_method({"method": "agd", "layers": "2-5"}) == parse_method({"method": "agd", "layers": [2, 5]})
    assert parse_method({"method": "vanilla"}) == parse_method("vanilla")


def test_an_option_goes_by_its_full_name_or_by_its_symbol_and_the_variant_by_the_symbol():
    assert parse_method("agd;top_k=4;temperature=3") == parse_method("agd;k=4;tau=3")
    assert parse_method({"method": "agd", "k": 4, "tau": 3}) == parse_method("agd;k=4;tau=3")
    assert parse_method("agd;top_k=4").variant == "k=4"


def test_defaults_hold_for_the_methods_that_have_the_option():
    defaults = {"formulation": "released", "top_k": 7, "temperature": 2}
    assert parse_method("agd;k=1", defaults).options == Purifies(formulation="released", top_k=1, temperature=2)
    assert parse_method("vanilla", defaults) == parse_method("vanilla")


def values(option: Option) -> st.SearchStrategy[tuple[Any, str]]:
    """A value of the option as in YAML, and as on the command line."""
    bounds = st.lists(st.integers(0, 99), min_size=2, max_size=2).map(sorted)
    ranges = bounds.map(lambda pair: (pair, f"{pair[0]}-{pair[1]}"))
    numbers = st.integers(1, 99) | st.floats(0.01, 1e9)
    by_name = {
        "top_k": st.integers(1, 99).map(lambda k: (k, str(k))),
        "heads": st.integers(1, 99).map(lambda k: (k, str(k))),
        "passes": st.integers(1, 99).map(lambda k: (k, str(k))) | st.just(("all", "all")),
        "temperature": numbers.map(lambda tau: (tau, str(tau))),
        **dict.fromkeys(("prior", "filter"), st.sampled_from([(True, "yes"), (False, "no")])),
        "layers": ranges | st.just(("all", "all")),
        "formulation": st.sampled_from([(name, name) for name in ("printed", "released", "printed+mixture=logs")]),
    }
    words = [(word, word) for word in option.kind.allowed.split(", ")]
    return by_name.get(option.name, st.sampled_from(words))


def go_together(method: str, written: dict[str, str]) -> bool:
    """Whether the method can be told all of this at once."""
    needs_row = method == "retrieval_heads" and written.get("against") == "null"
    needs_suffix = method == "icr" and written.get("filter") == "yes"
    return not (needs_row and written.get("row", "last") == "last") and not (
        needs_suffix and written.get("tokens", "suffix") != "suffix"
    )


@settings(deadline=None)
@given(data=st.data(), name=st.sampled_from(list(METHODS)))
def test_text_and_mapping_agree(data, name):
    """In any order of options, by full names or symbols, whatever defaults there are."""
    chosen = [o for o in METHODS[name].options.values() if data.draw(st.booleans(), o.name)]
    given_values = {option: data.draw(values(option), option.name) for option in chosen}
    spelt = {option: data.draw(st.sampled_from([option.name, option.label])) for option in chosen}
    assume(go_together(name, {option.name: written for option, (_, written) in given_values.items()}))
    mapping = {"method": name, **{spelt[option]: value for option, (value, _) in given_values.items()}}
    shuffled = data.draw(st.permutations(list(given_values.items())))
    text = ";".join([name, *(f"{option.label}={written}" for option, (_, written) in shuffled)])
    defaults = {"top_k": 5, "temperature": 0.1}
    read = parse_method(yaml.safe_load(yaml.safe_dump(mapping)), defaults)
    assert read == parse_method(text, defaults)
    assert parse_method(read.text, defaults) == read
    for option, (value, _) in given_values.items():
        assert getattr(read.options, option.name) == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("argmax", "unknown method 'argmax'; known: vanilla, vanilla_parsed, attention_readout, purified_attention"),
        ("adg", r"unknown method 'adg' \(did you mean 'agd'\?\); known: vanilla, .*, self_consistency"),
        (
            "agd;K=3",
            r"agd has no option 'K' \(did you mean 'k'\?\); it has tau, prior, layers_by, k, layers, row, formulation",
        ),
        ("agd;topk=3", r"no option 'topk' \(did you mean 'top_k'\?\); it has tau"),
        ("vanilla;k=3", "vanilla has no option 'k'; it has none"),
        (
            "attention_readout;tau=3",
            "attention_readout has no option 'tau'; it has layers_by, k, layers, row, formulation",
        ),
        ("agd;k=0", "option k cannot be '0'; allowed: a whole number from 1"),
        ("agd;k", "option k cannot be ''"),
        ("agd;tau=-1", "option tau cannot be '-1'; allowed: a number above 0"),
        ("agd;tau=nan", "option tau cannot be 'nan'"),
        ("agd;prior=maybe", "option prior cannot be 'maybe'; allowed: yes, no"),
        ("agd;layers=5-2", "layers cannot be '5-2'; allowed: .*first-last"),
        (
            "agd;formulation=published",
            "unknown formulation 'published'; known: printed, released, and either with fields",
        ),
        ("agd;formulation=printed+mixture=log", "mixture cannot be 'log'; allowed: probabilities, logs"),
        ("agd;k=2;k=3", "option k is given twice"),
        ("agd;k=2;top_k=3", "option top_k is given twice"),
        ("permutation_average;orders=16", "option orders cannot be '16'; allowed: evaluated, cyclic, random"),
        ("batch_calibration;orders=random", "batch_calibration has no option 'orders'; it has correction"),
        ("gold_panning;passes=0", "option passes cannot be '0'; allowed: all, or a whole number from 1"),
        ({"method": "adg"}, r"unknown method 'adg' \(did you mean 'agd'\?\)"),
        ({"method": "agd", "topk": 3}, r"\{method: agd, topk: 3\}: agd has no option 'topk' \(did you mean 'top_k'"),
        (
            {"method": "agd", "top_k": 0},
            r"\{method: agd, top_k: 0\}: option top_k cannot be '0'; allowed: a whole number",
        ),
        ({"method": "agd", "top_k": 2.5}, "option top_k cannot be '2.5'; allowed: a whole number from 1"),
        ({"method": "agd", "top_k": True}, "option top_k cannot be 'True'; allowed: a whole number from 1"),
        ({"method": "agd", "layers": None}, "option layers cannot be 'None'; allowed: all, or first-last"),
        ({"method": "agd", "k": 2, "top_k": 2}, "option top_k is given twice"),
        (
            {"top_k": 2},
            r"\{top_k: 2\} names no method: write text such as 'agd;k=4', or a mapping such as \{method: agd",
        ),
        ([("method", "agd")], "names no method"),
    ],
)
def test_a_specification_that_cannot_be_is_refused(specification, message):
    with pytest.raises(ScoringError, match=message):
        parse_method(specification)


@pytest.mark.parametrize("temperature", [0.0, -5.0, float("nan"), float("inf")])
def test_a_temperature_that_is_no_number_above_0_is_refused(temperature):
    with pytest.raises(ScoringError, match=r"defaults of options: option temperature cannot be .*: a number above 0"):
        parse_method("agd", {"temperature": temperature})


def test_a_default_that_no_method_has_is_refused():
    with pytest.raises(ScoringError, match=r"defaults of options: no method has an option 'top-k'"):
        parse_method("vanilla", {"top-k": 2})
