"""Laws of the agreement of profiles between random starts."""

from __future__ import annotations

import numpy as np
import pytest

from mine.stages.seeds import compare_seeds, tabulate_seeds

VOXELS, WORDS = 6, 200
CEILING = np.array([0.1, 0.4, 0.5, 0.6, 0.7, 0.8])


def draw_profiles(starts: int = 3, noise: float = 0.0) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    shared, own = generator.standard_normal((WORDS,)), generator.standard_normal((VOXELS, WORDS))
    return [
        shared + own + noise * generator.standard_normal((VOXELS, WORDS)) for _ in range(starts)
    ]


def test_correlations_are_those_of_every_pair_of_starts():
    starts = draw_profiles(noise=1.0)
    found = compare_seeds({"fitted": starts}, CEILING).sel(kind="fitted")
    for voxel in range(VOXELS):
        own, others = [], []
        for a in range(3):
            for b in range(3):
                for other in range(VOXELS):
                    if a != b:
                        r = np.corrcoef(starts[a][voxel], starts[b][other])[0, 1]
                        (own if other == voxel else others).append(r)
        assert found["own"][voxel] == pytest.approx(np.mean(own))
        assert found["others"][voxel] == pytest.approx(np.mean(others))


def test_equal_profiles_agree_wholly_and_an_empty_one_not_at_all():
    starts = draw_profiles()
    for profile in starts:
        profile[2] = 0
    found = compare_seeds({"fitted": starts}, CEILING)["own"].values[0]
    np.testing.assert_allclose(found, [1, 1, 0, 1, 1, 1])
    alone = compare_seeds({"fitted": [profile[:1] for profile in starts]}, CEILING[:1])
    assert np.isnan(alone["others"]).all()


def test_table_is_of_voxels_with_a_sufficient_ceiling():
    noise = [np.random.default_rng(seed).standard_normal((VOXELS, WORDS)) for seed in (1, 2)]
    compared = compare_seeds({"fitted": draw_profiles(noise=0.5), "random": noise}, CEILING)
    unknown = compared.assign(noise_ceiling=("voxel", np.full(VOXELS, np.nan)))
    parts = {("subj01", "FFA-1"): compared, ("subj02", "FFA-1"): unknown}
    table = tabulate_seeds(parts, resamples=100, generator=np.random.default_rng(0))
    rows = table.set_index(["measure", "subject"])
    own = rows.loc["profile_seed_correlation", "subj01"]
    assert own["value"] == pytest.approx(float(compared["own"].sel(kind="fitted")[1:].mean()))
    assert own["low"] < own["value"] < own["high"] and own["n"] == 5
    assert rows.loc["profile_seed_correlation", "subj02"]["n"] == 6
    random = rows.loc["profile_seed_correlation_random", "subj01"]
    assert abs(random["value"]) < 0.1
    assert rows.loc["profile_seed_correlation_others", "subj01"]["value"] < own["value"]
