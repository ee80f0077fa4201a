"""The extraction rule does not list its code as input, so a comment never costs GPU hours; this test is the other half
of that bargain. It fails when the demo model's signals change without a new `EXTRACTOR_VERSION`.

After raising the version, `LAD_NEW_GOLDEN=1 pytest tests/extraction/test_golden.py` writes the new numbers.
"""

import json
import os
from pathlib import Path

import numpy as np

from lad.extraction import EXTRACTOR_VERSION

GOLDEN = Path(__file__).with_name("golden.json")
SIGNALS = ("identifier_logits", "processed_logits", "candidate_logprobs", "candidate_attention", "delimiter_attention")


def test_the_signals_of_the_demo_model_change_only_with_the_version(extracted):
    found = {}
    for probe, n in (("vanilla", 4), ("vanilla", 12), ("ordinal", 8)):
        signals, _ = extracted(n, probe, evaluation=1, answer_text=True)
        for row in signals.to_pylist():
            numbers = {name: np.round(row[name], 5).tolist() for name in SIGNALS}
            found[f"{probe} {row['presentation_id']}"] = {**numbers, "generated_text": row["generated_text"]}
    if os.environ.get("LAD_NEW_GOLDEN"):
        GOLDEN.write_text(json.dumps({"extractor_version": EXTRACTOR_VERSION, "signals": found}, indent=1) + "\n")

    golden = json.loads(GOLDEN.read_text())
    assert golden["extractor_version"] == EXTRACTOR_VERSION, "a new version needs new golden numbers"
    assert found.keys() == golden["signals"].keys()
    for key, row in found.items():
        expected = golden["signals"][key]
        assert row["generated_text"] == expected["generated_text"]
        for name in SIGNALS:
            message = f"{key}: {name} changed; raise EXTRACTOR_VERSION in lad/extraction/__init__.py if that is meant"
            np.testing.assert_allclose(row[name], expected[name], atol=1e-3, err_msg=message)
