"""An image explained for voxels: prediction, attribution over patches, and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.calibration import find_said, join_said
from mine.errors import InputError

if TYPE_CHECKING:
    import PIL.Image
    from matplotlib.figure import Figure

    from mine.core.integrated_gradients import AttributionBatch
    from mine.results.folder import Results
    from mine.results.regions import Region

Image: TypeAlias = "Path | str | int | np.integer | np.ndarray | PIL.Image.Image"
"""A file, an identity in the dataset, pixels uint8 (row, column, 3), or a PIL image."""

NEW = "new"
"""What an image is called that is none of the dataset's."""


@dataclass(frozen=True)
class Explanation:
    """Why an encoder predicts what it does for one voxel and one image.

    >>> import mine
    >>> region = mine.open("results/demo")["subj01"]["FFA-1"]
    >>> explanation = region[region.voxels[0]].explain("photo.jpg")
    >>> change = explanation.prediction - explanation.baseline_prediction
    >>> bool(abs(explanation.attribution.sum() - change) < 1e-3)
    True
    >>> explanation.words.columns.tolist()
    ['word', 'weight', 'row', 'column']
    """

    region: Region
    voxel: int
    picture: np.ndarray
    """uint8 (row, column, 3): the square that the model saw"""
    attribution: xr.DataArray
    """float32 (row, column): what each patch adds to the prediction, in standard deviations of the
    response; the sum is prediction − baseline_prediction, up to the completeness error"""
    attributions: xr.Dataset
    """as `attributions/all.zarr`, of this voxel and image"""
    descriptions: xr.Dataset
    """as `descriptions.zarr`, of this voxel and image"""

    def __repr__(self) -> str:
        return f"<voxel {self.voxel}: {self.prediction:+.2f} sd, {self.phrase or 'no words'}>"

    @property
    def prediction(self) -> float:
        """Predicted response, in standard deviations of the single-trial response."""
        return float(self.attributions["prediction"].item())

    @property
    def baseline_prediction(self) -> float:
        """Predicted response to the mean training tokens, in the same unit."""
        return float(self.attributions["baseline_prediction"].item())

    @property
    def residual_deviation(self) -> float:
        """Standard deviation of measured responses around their predictions, on the images that the
        encoder was validated on, in the same unit: the prediction ± 1.96 of it is to hold 95% of
        the responses to images of that kind."""
        encoder = self.region.subject.encoder
        return float(encoder["residual_deviation"].isel(voxel=self.voxel))

    @property
    def completeness_error(self) -> float:
        """What is missing from the sum of the attributions, over the sum of their magnitudes."""
        return float(self.attributions["completeness_error"].item())

    @property
    def words(self) -> pd.DataFrame:
        """Words of the tokens that drive the voxel, best first: `word`, `weight` (probability above
        the base rate), `row` and `column` of the patch that gave most of it."""
        return tabulate_description(
            self.descriptions.isel(voxel=0, image=0),
            self.region.results.words,
            self.attribution.sizes["column"],
        )

    @property
    def phrase(self) -> str:
        """The first words that are said, with commas; empty where nothing is."""
        said = self.descriptions.sel(condition="description")
        return str(join_said(said, self.region.results.words).item())

    def plot(self) -> Figure:
        """Draw the image with its attribution and its words."""
        return draw_explanations([self])


def draw_explanations(explanations: Sequence[Explanation]) -> Figure:
    """Draw one image as several voxels of a region see it."""
    from mine.figures.attributions import draw_attributions

    first = explanations[0]
    region = first.region
    image = first.attributions["image"].values
    return draw_attributions(
        xr.concat([one.attributions for one in explanations], "voxel", data_vars="minimal"),
        xr.concat([one.descriptions for one in explanations], "voxel", data_vars="minimal"),
        xr.DataArray(
            first.picture[None],
            dims=("image", "row", "column", "channel"),
            coords={"image": image},
        ),
        words=region.results.words,
        grid=first.attribution.shape,
        table=region.table(),
        images=1,
        region=f"{region.name}, {region.subject.name}",
    )


def explain_image(region: Region, image: Image, voxels: Sequence[int]) -> dict[int, Explanation]:
    """Explain the predictions of some voxels of a region for one image, by voxel.

    Everything is computed as the workflow computes it, so that an image of the dataset gets what is
    stored for it. Control tokens that are drawn at random are others.
    """
    from mine.core.encoder import position_basis, select_voxels, weights_from_dataset
    from mine.randomness import generator
    from mine.stages.attributions import attribute
    from mine.stages.descriptions import describe_images
    from mine.stages.embeddings import embed_images

    results = region.results
    config, backbone = results.config, results.backbone
    picture = take_picture(results, image)
    name = np.array([int(image) if isinstance(image, int | np.integer) else NEW])
    embedded, lens = embed_images(
        backbone,
        name,
        lambda _: picture[None],
        vocabulary=results.vocabulary.load(),
        words_per_token=config.lens.words_per_token,
        batch_size=1,
    )
    maps = np.zeros((len(voxels), embedded.sizes["token"]), np.float32)

    def keep(batch: AttributionBatch) -> None:
        maps[batch.voxels] = batch.attribution[0].cpu().numpy()

    options = asdict(config.attribution)
    del options["images"]
    attributions = attribute(
        select_voxels(weights_from_dataset(region.subject.encoder), np.asarray(voxels)),
        embedded["tokens"].values,
        region.attributions["baseline"].values,
        position_basis(backbone.rows, backbone.columns, config.encoder.position_orders),
        keep_lowest=True,
        on_batch=keep,
        **options,
    ).assign_coords(voxel=list(voxels), image=name)
    description: dict[str, Any] = asdict(config.description)
    descriptions = describe_images(
        attributions,
        lens,
        results.base_rates,
        token_fraction=description["token_fraction"],
        words=description["words"],
        phrase_words=description["phrase_words"],
        false_words=description["false_words"],
        generator=generator(config.seed, "explain"),
    )
    return {
        voxel: Explanation(
            region=region,
            voxel=voxel,
            picture=picture,
            attribution=xr.DataArray(
                maps[place].reshape(backbone.rows, backbone.columns),
                dims=("row", "column"),
                attrs={"units": "standard deviations of the response"},
            ),
            attributions=attributions.isel(voxel=[place]),
            descriptions=descriptions.isel(voxel=[place]),
        )
        for place, voxel in enumerate(voxels)
    }


def tabulate_description(description: xr.Dataset, words: np.ndarray, columns: int) -> pd.DataFrame:
    """Return the words that are said, for one voxel and image, best first:
    `word`, `weight`, and `row` and `column` of their patch.

    description: of a store of descriptions. words: the vocabulary. columns: of the grid of patches.
    """
    said = description.sel(condition="description")
    said = said.isel(rank=np.flatnonzero(find_said(said)))
    row, column = np.divmod(said["patch"].values.astype(int), columns)
    return pd.DataFrame(
        {
            "word": words[said["word"].values],
            "weight": said["weight"].values,
            "row": row,
            "column": column,
        }
    )


def take_picture(results: Results, image: Image) -> np.ndarray:
    """Return the middle square of an image as pixels: uint8 (row, column, 3).

    Raises InputError for what is no image of 8 bits a channel.
    """
    import PIL.Image

    from mine.datasets.image_files import convert_image, read_image

    folder = results.config.dataset.folder
    side = folder.image_side if results.config.dataset.kind == "folder" else None
    if isinstance(image, int | np.integer):
        return results.pictures([image]).values[0]
    if isinstance(image, str | Path):
        pixels = read_image(Path(image), side=side)
    elif isinstance(image, PIL.Image.Image):
        pixels = convert_image(image, side=side, name="image")
    else:
        pixels = np.asarray(image)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise InputError(
                "image: expected pixels as uint8 (row, column, 3), found "
                f"{pixels.dtype} {pixels.shape}"
            )
    shortest = min(pixels.shape[:2])
    top, left = ((length - shortest) // 2 for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + shortest, left : left + shortest])
