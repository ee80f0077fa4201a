"""Every image goes through the vision tower once, as long as there is room to keep it."""

import os
import threading

import numpy as np
import pytest
import torch

from lad.extraction import features as image_features
from lad.extraction import memory
from lad.extraction.features import ImageFeatures
from lad.extraction.inputs import InputError


@pytest.fixture
def paths(scenes):
    return sorted((scenes / "images").iterdir())


def test_an_image_is_encoded_once_whatever_the_number_of_probes_and_presentations(backbone, images, extracted):
    with ImageFeatures(backbone) as features:
        for n, probe in ((4, "vanilla"), (4, "roman"), (8, "vanilla")):
            _, metadata = extracted(n, probe, features=features)
        assert metadata["images"] <= features.encoded <= len(images)
        before = features.encoded
        extracted(8, "uppercase", features=features)
        assert features.encoded == before


def test_features_stay_within_their_budget_and_the_longest_unused_go_first(backbone, paths):
    with ImageFeatures(backbone) as ample:
        one = ample.get(paths[:1])[paths[0]].nbytes
    with ImageFeatures(backbone, device_bytes=0, host_bytes=3 * one) as features:
        features.get(paths[:3])
        features.get(paths[:1])  # used again
        features.get(paths[3:4])  # pushes out the second
        assert features.encoded == 4
        features.get([paths[0], paths[2], paths[3]])
        assert features.encoded == 4
        features.get(paths[1:2])
        assert features.encoded == 5
        assert all(tier.used <= tier.budget for tier in features._tiers)


def test_features_that_were_pushed_to_main_memory_come_back_unchanged(backbone, paths):
    with ImageFeatures(backbone) as ample, ImageFeatures(backbone, device_bytes=0) as spilling:
        expected, found = ample.get(paths[:4]), spilling.get(paths[:4])
        again = spilling.get(paths[:4])
        assert spilling.encoded == 4
    for path in paths[:4]:
        (kept,) = expected[path].features.pooler_output
        for other in (found[path], again[path]):
            (returned,) = other.features.pooler_output
            assert torch.equal(returned, kept)
            assert returned.device == backbone.device


def test_what_was_kept_or_encoded_is_still_kept_when_memory_runs_out(backbone, paths, monkeypatch):
    encode = image_features.encode
    with ImageFeatures(backbone) as features:
        features.get(paths[:4])
        features.expect(paths[4:9])

        def need_a_petabyte_for_more_than_two_images_and_for_any_later(backbone, prepared):
            torch.empty(2**50 if len(prepared) > 2 or features.encoded > 4 else 1, dtype=torch.uint8)
            return encode(backbone, prepared)

        monkeypatch.setattr(image_features, "encode", need_a_petabyte_for_more_than_two_images_and_for_any_later)
        with pytest.raises(memory.OutOfMemoryError):
            features.get(paths[:9])
        monkeypatch.setattr(image_features, "encode", encode)
        features.get(paths[:6])
        assert features.encoded == 6
        features.get(paths[6:7])
        assert features.encoded == 9, "the rest of the planned group together"


def test_room_is_made_by_moving_the_features_to_main_memory(backbone, paths):
    with ImageFeatures(backbone) as features:
        # On a CPU, main memory stands for the device's as well.
        features._tiers[1:] = [image_features._Tier(torch.device("cpu"), 10**9)]
        features.get(paths[:4])
        assert features.make_room()
        features.get(paths[:4])
        assert features.encoded == 4
        assert features._tiers[0].used == 0 < features._tiers[1].used
        assert not features.make_room(), "nothing is left to be moved"


def test_without_room_the_numbers_are_the_same(backbone, extracted):
    with ImageFeatures(backbone, device_bytes=0, host_bytes=0) as nowhere:
        poor, metadata = extracted(4, evaluation=6, features=nowhere, token_budget=400)
        assert nowhere.encoded > metadata["images"]
    rich, _ = extracted(4, evaluation=6, token_budget=400)
    for name in ("identifier_logits", "candidate_attention"):
        np.testing.assert_allclose(np.array(poor[name].to_pylist()), np.array(rich[name].to_pylist()), atol=1e-4)


def test_expected_images_are_prepared_ahead_and_the_unexpected_are_served_too(backbone, paths):
    with ImageFeatures(backbone, workers=1) as features:
        features.expect(paths[:6])
        assert len(features._prepared) == 6
        features.get(paths[4:8])
        assert features.encoded == 8, "the planned six in one group, and two more"
        features.get(paths[:4])
        assert features.encoded == 8
        assert not features._prepared


def test_images_that_come_unexpected_are_prepared_side_by_side(backbone, paths, monkeypatch):
    prepare, together = image_features._prepare, threading.Barrier(3, timeout=300)
    monkeypatch.setattr(image_features, "_prepare", lambda *image: together.wait() is None or prepare(*image))
    with ImageFeatures(backbone, workers=3) as features:
        assert len(features.get(paths[:3])) == 3


def test_no_more_threads_prepare_images_than_torch_may_use(backbone, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    before = torch.get_num_threads()
    try:
        for threads, workers in ((1, 1), (3, 3), (12, 8)):
            torch.set_num_threads(threads)
            with ImageFeatures(backbone) as features:
                assert features._threads._max_workers == workers
    finally:
        torch.set_num_threads(before)


def test_a_broken_image_is_named(backbone, paths, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:200])
    with ImageFeatures(backbone) as features, pytest.raises(InputError, match=r"broken\.png: cannot be decoded"):
        features.get([broken])
