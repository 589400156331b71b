"""What the causal tests of a voxel show: pictures and edits with the responses they brought."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.browser.scripts import round_number, round_numbers
from mine.figures.edits import say_edit
from mine.figures.strips import strip_template


def describe_tests(
    generated: xr.Dataset,
    sufficiency: xr.Dataset,
    edits: xr.Dataset,
    counterfactuals: xr.Dataset,
    *,
    template: str,
    method: str,
) -> dict[int, dict[str, object]]:
    """Gather the tests of each voxel of a region that was tested: voxel → what its card shows.

    generated, sufficiency, edits, counterfactuals: stores of the region; pixels are not read.
    template: that words were put into. method: of the edits, ``inpainting`` or ``instruction``.
    Responses are of the evaluator and of the encoder, in this order.
    """
    painted = template if method == "inpainting" else None
    return {
        voxel: {
            "generated": _list_originals(
                generated.isel(voxel=row), sufficiency.isel(voxel=row), template
            ),
            "errors": _list_errors(sufficiency.isel(voxel=row)),
            "edits": _list_edits(edits.isel(voxel=row), counterfactuals.isel(voxel=row), painted),
            "shifts": _list_shifts(counterfactuals.isel(voxel=row)),
        }
        for row, voxel in enumerate(generated["voxel"].values.tolist())
    }


def list_pictures(tests: dict[int, dict[str, object]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which pictures, which edits and which images of the dataset the tests show."""
    pictures, edits, images = set(), set(), set()
    for own in tests.values():
        for original in own["generated"]:
            images.add(original["image"])
            for made in original["made"]:
                pictures.update(sample[0] for sample in made["samples"])
        for start in own["edits"]:
            images.add(start["image"])
            edits.update(made["edit"] for made in start["made"])
    return tuple(np.array(sorted(found), dtype=int) for found in (pictures, edits, images))


def _list_originals(
    generated: xr.Dataset, sufficiency: xr.Dataset, template: str
) -> list[dict[str, object]]:
    """Each original with the pictures of every condition, of one voxel."""
    found = []
    response = generated["response"].values
    for chosen in np.flatnonzero(generated["image"].values >= 0):
        made = []
        for condition, samples in zip(
            generated["condition"].values, generated["picture"].values[:, chosen], strict=True
        ):
            kept = samples[samples >= 0]
            if len(kept):
                prompt = str(generated["prompt"].values[kept[0]])
                made.append(
                    {
                        "condition": str(condition),
                        "prompt": strip_template(prompt, template),
                        "samples": [
                            [int(picture), *round_numbers(response[:, picture])] for picture in kept
                        ],
                    }
                )
        found.append(
            {
                "image": int(generated["image"].values[chosen]),
                "measured": round_number(sufficiency["measured"].values[chosen]),
                "original": round_numbers(generated["original"].values[:, chosen]),
                "made": made,
            }
        )
    return found


def _list_errors(sufficiency: xr.Dataset) -> list[dict[str, object]]:
    """By how much each control is further from the original than the description's words."""
    own = sufficiency.sel(model="evaluator")
    return [
        {
            "control": str(control),
            "mean": round_number(own["mean"].sel(control=control)),
            "cohens_dz": round_number(own["cohens_dz"].sel(control=control)),
            "q": round_number(own["q"].sel(control=control)),
        }
        for control in own["control"].values
    ]


def _list_edits(
    edits: xr.Dataset, counterfactuals: xr.Dataset, template: str | None
) -> list[dict[str, object]]:
    """Each image that was edited, with its edits and the shifts in the expected direction."""
    found = []
    for direction in edits["direction"].values:
        own, shifts = edits.sel(direction=direction), counterfactuals.sel(direction=direction)
        for chosen in np.flatnonzero(own["start"].values >= 0):
            made = []
            for condition in own["condition"].values:
                edit = int(own["index"].sel(condition=condition).values[chosen])
                if edit < 0:
                    continue
                one = own.isel(edit=edit)
                shift = shifts["shift"].sel(condition=condition).isel(chosen=chosen)
                mask = [] if template is None else np.flatnonzero(one["mask"].values).tolist()
                made.append(
                    {
                        "condition": str(condition),
                        "edit": edit,
                        "said": say_edit(one, template),
                        "shift": round_numbers(shift.values),
                        "mask": mask,
                        "outside": round_number(one["outside_similarity"]),
                        "presence": [
                            round_number(one["presence_before"]),
                            round_number(one["presence_after"]),
                        ],
                    }
                )
            image = int(own["start"].values[chosen])
            found.append({"direction": str(direction), "image": image, "made": made})
    return found


def _list_shifts(counterfactuals: xr.Dataset) -> list[dict[str, object]]:
    """The mean shift by direction and condition, with q that the description's is larger."""
    own = counterfactuals.sel(model="evaluator")
    found = []
    for direction in own["direction"].values:
        here = own.sel(direction=direction)
        for condition in here["condition"].values:
            row = {
                "direction": str(direction),
                "condition": str(condition),
                "mean": round_number(here["shift_mean"].sel(condition=condition)),
                "q": None,
            }
            if condition in here["control"].values:
                q = here["effect_q"].sel(guide="description", control=condition)
                row["q"] = round_number(q)
            found.append(row)
    return found
