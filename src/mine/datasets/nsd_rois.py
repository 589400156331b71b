"""Regions of interest of the Natural Scenes Dataset, by name, by atlas and label, or by mask file.

A reference to an ROI is one of

- the name of a label in an atlas's .ctab file: ``FFA-1``;
- an atlas and one of its labels, where several atlases share the name: ``Kastner2015:V1v``;
- the name of a whole ROI volume, of which all labels count: ``nsdgeneral``, ``streams``;
- ``brainmask``;
- the path of a mask, relative to the dataset's folder, with ``{subject}`` where the subject's name
  belongs: ``masks/{subject}/food.nii.gz``; on surfaces with ``{hemisphere}`` where lh and rh
  belong: ``masks/{subject}/{hemisphere}.food.mgz``. Only an absolute path may lie outside the
  folder.

On surfaces an ROI is a pair of files, {lh,rh}.<ROI>.mgz, and needs its names, <ROI>.mgz.ctab, so
that no map of other numbers is taken for labels.

NSD's ROI volumes hold -1 outside cortex, 0 in unlabelled cortex and labels above 0, so a region is
always where the volume is *above 0*. Leaving out -1 alone would take in unlabelled cortex.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from mine.datasets import nsd_files
from mine.datasets.nsd_masks import MASKS, find_mask, name_mask
from mine.datasets.rois import Members, describe_rois
from mine.datasets.voxels import SurfaceVoxels, VoxelSet
from mine.errors import InputError

ATLASES = (
    "prf-visualrois",
    "floc-faces",
    "floc-bodies",
    "floc-places",
    "floc-words",
    "streams",
)
"""Atlases whose labels win where another atlas uses the same name."""

CONTRASTS = {"floc-words": "word"}
"""Localiser contrasts that are not called as their atlas is."""

Map = nsd_files.Volume | nsd_files.Surface


@dataclass(frozen=True)
class Region:
    """Where an ROI comes from. label: None for a whole volume; contrast: of the localiser."""

    reference: str
    source: str
    label: str | None = None
    contrast: str | None = None


def list_subjects(root: Path) -> list[str]:
    """Subjects that have a folder of volumes or of labels."""
    folders = [
        *(Path(root) / "nsddata/ppdata").glob("subj??"),
        *(Path(root) / "nsddata/freesurfer").glob("subj??"),
    ]
    return sorted({folder.name for folder in folders if folder.is_dir()})


def list_labels(root: Path, subject: str, space: str) -> dict[str, dict[int, str]]:
    """Names of the labels of each atlas of a subject: atlas -> label -> name."""
    folder = nsd_files.label_folder(root, subject, space)
    suffix = ".mgz.ctab"
    return {
        path.name.removesuffix(suffix): nsd_files.read_labels(path)
        for path in sorted(folder.glob(f"*{suffix}"))
    }


def list_present(root: Path, subject: str, space: str) -> set[str]:
    """Names of the labels of all atlases that at least one voxel or vertex of a subject has."""
    present = set()
    for atlas, names in list_labels(root, subject, space).items():
        for one in _read_files(root, subject, Region(atlas, atlas), space):
            values = set(np.unique(one.values).tolist())
            present |= {name for label, name in names.items() if label in values}
    return present


def list_volumes(root: Path, subject: str, space: str) -> list[str]:
    """Names of a subject's ROI volumes or surfaces, whether combined or by hemisphere."""
    if space in nsd_files.SURFACES:
        folder = nsd_files.label_folder(root, subject, space)
        found = {path.name[3:].removesuffix(".mgz") for path in folder.glob("[lr]h.*.mgz")}
        return sorted(name for name in found if (folder / f"{name}.mgz.ctab").is_file())
    folder = nsd_files.subject_folder(root, subject, space) / "roi"
    names = {path.name.removesuffix(".nii.gz") for path in folder.glob("*.nii.gz")}
    return sorted({name[3:] if name[:3] in ("lh.", "rh.") else name for name in names})


def find_region(root: Path, subject: str, reference: str, *, space: str) -> Region | None:
    """Find the atlas or file that a reference means; None if this subject lacks it.

    Raises InputError if no subject has it (with the names that exist), if several atlases use the
    name, or if a relative path leaves the dataset's folder.
    """
    if reference.endswith(MASKS):
        mask = find_mask(root, subject, reference, space, others=list_subjects(root))
        return None if mask is None else Region(reference, str(mask))
    region = _find_here(root, subject, reference, space)
    if region is not None:
        return region
    others = [name for name in list_subjects(root) if name != subject]
    if any(_find_here(root, other, reference, space) is not None for other in others):
        return None
    names: set[str] = set()
    for one in [subject, *others]:
        names |= set(list_volumes(root, one, space))
        for labels in list_labels(root, one, space).values():
            names |= set(labels.values())
    folded = {name.casefold(): name for name in sorted(names)}
    close = difflib.get_close_matches(reference.casefold(), folded, n=1, cutoff=0.5)
    hint = f" Did you mean {folded[close[0]]}?" if close else ""
    raise InputError(
        f"ROI {reference!r}: expected one of the regions of {Path(root)}: "
        f"{', '.join(sorted(names)) or 'there are none'}; found no such name.{hint}"
    )


def read_region(root: Path, subject: str, region: Region, *, space: str) -> list[Map]:
    """Read a region as boolean maps, to be united: the combined volume, else each hemisphere's, or
    both surfaces in one.

    Returns an empty list if the subject has no such file. Raises InputError if it has that of one
    hemisphere alone, or labels that are NaN.
    """
    value = None
    if region.label is not None:
        labels = list_labels(root, subject, space).get(region.source, {})
        value = [number for number, name in labels.items() if name == region.label]
    maps = []
    for one in _read_files(root, subject, region, space):
        unknown = int(np.isnan(one.values).sum())
        if unknown:
            path = one.path if isinstance(one, nsd_files.Volume) else one.paths[0]
            raise InputError(f"{path}: expected labels everywhere, found NaN in {unknown}")
        inside = one.values > 0 if value is None else np.isin(one.values, value)
        maps.append(replace(one, values=inside))
    return maps


def read_mask(
    root: Path,
    subject: str,
    references: str | Iterable[str],
    *,
    space: str,
    shape: tuple[int, ...],
    affine: np.ndarray | None,
    of: Path,
) -> np.ndarray:
    """Union of regions as a mask where the betas lie: bool (X, Y, Z), on surfaces (vertex,).

    Raises InputError if the subject lacks one of them or if the union is empty.
    """
    references = [references] if isinstance(references, str) else list(references)
    masks = []
    for reference in references:
        region = find_region(root, subject, reference, space=space)
        maps = [] if region is None else read_region(root, subject, region, space=space)
        if not maps:
            raise InputError(
                f"{subject}: expected the region {reference} as its voxel set, found no file of it"
            )
        masks += [nsd_files.match_map(one, shape=shape, affine=affine, of=of) for one in maps]
    mask = np.logical_or.reduce(masks)
    if not mask.any():
        where = "volume" if affine is not None else "surfaces"
        raise InputError(
            f"{subject}: expected voxels in {' and '.join(references)}, found none in the {where}"
        )
    return mask


def find_members(
    root: Path,
    subject: str,
    *,
    rois: Mapping[str, str],
    voxels: VoxelSet,
    t_maps: Mapping[str, np.ndarray],
    t_threshold: float | Mapping[str, float] | None,
) -> tuple[dict[str, Members], dict[str, str]]:
    """Find which voxels belong to which ROI: those found, and why the others are not, by name.

    The arguments are those of read_rois; t_maps: contrast -> (X, Y, Z) or (vertex,).
    """
    space = voxels.space
    grid = find_grid(root, subject, voxels)
    found: dict[str, Members] = {}
    absent: dict[str, str] = {}
    for name, reference in rois.items():
        region = find_region(root, subject, reference, space=space)
        maps = [] if region is None else read_region(root, subject, region, space=space)
        if not maps:
            absent[name] = f"{subject} has no region {reference}"
            continue
        mask = np.logical_or.reduce([nsd_files.match_map(one, **grid) for one in maps])
        if not mask.any():
            absent[name] = f"no voxel of {subject} is in {reference}"
            continue
        threshold = find_threshold(region, t_threshold)
        if threshold is not None:
            if region.contrast not in t_maps:
                path = name_contrast(root, subject, region.contrast, space=space)
                raise InputError(
                    f"{path}: expected the t-map that thresholds {name} "
                    f"(dataset.localiser_threshold.{region.contrast}), found no file"
                )
            mask = mask & (t_maps[region.contrast] > threshold)
        inside = mask.reshape(-1)[voxels.index]
        if not inside.any():
            limit = "" if threshold is None else f" above t = {threshold:g}"
            absent[name] = (
                f"none of its {int(mask.sum())} voxels{limit} is in the voxel set of {subject}"
            )
            continue
        source = region.source if region.label is None else f"{region.source}:{region.label}"
        found[name] = Members(inside, int(mask.sum()), source)
    return found, absent


def check_threshold(
    root: Path, t_threshold: float | Mapping[str, float] | None, *, space: str
) -> None:
    """Raise InputError for a threshold of a contrast that no localiser's atlas is of, which would
    cut nothing."""
    if not isinstance(t_threshold, Mapping):
        return
    names = set(ATLASES)
    for subject in list_subjects(root):
        names |= {*list_volumes(root, subject, space), *list_labels(root, subject, space)}
    known = sorted({_find_contrast(name) for name in names} - {None})
    for contrast in t_threshold:
        if contrast not in known:
            raise InputError(
                "dataset.localiser_threshold: expected contrasts that regions are cut by, "
                f"{', '.join(known)}, found {contrast}"
            )


def find_grid(root: Path, subject: str, voxels: VoxelSet) -> dict[str, object]:
    """What every map of a voxel set's space has to have: shape, affine, and of what these are."""
    if isinstance(voxels, SurfaceVoxels):
        folder = nsd_files.label_folder(root, subject, voxels.space)
        return {"shape": voxels.vertices, "affine": None, "of": folder}
    folder = nsd_files.subject_folder(root, subject, voxels.space)
    return {"shape": voxels.shape, "affine": voxels.affine, "of": folder}


def read_rois(
    root: Path,
    subject: str,
    *,
    rois: Sequence[str] | Mapping[str, str],
    voxels: VoxelSet,
    t_threshold: float | Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Which voxels belong to which ROI, and the localiser's t-values.

    rois: references, or name -> reference. voxels: the subject's voxel set. t_threshold: an ROI of
    a localiser's atlas keeps only voxels whose t-value of that contrast is above it; one number,
    or contrast ("faces", "bodies", "places", "word") -> number.

    Returns ``member`` bool (roi, voxel), ``size`` (roi): voxels of the ROI inside and outside of
    the voxel set, after the threshold, and ``t`` float32 (contrast, voxel). ROIs that this subject
    lacks, or that share no voxel with its voxel set, are left out and named in attrs ``absent``,
    each with the reason in ``absent_reason``.
    Raises InputError for a name that no subject's atlases have, or a contrast that no localiser's
    atlas is of.
    """
    root = Path(root)
    check_threshold(root, t_threshold, space=voxels.space)
    grid = find_grid(root, subject, voxels)
    t_maps = read_localiser(root, subject, space=voxels.space, **grid)
    found, absent = find_members(
        root,
        subject,
        rois=name_references(rois),
        voxels=voxels,
        t_maps=t_maps,
        t_threshold=t_threshold,
    )
    place = voxels.index
    return describe_rois(
        subject,
        voxels=voxels,
        found=found,
        absent=absent,
        t_values={contrast: values.reshape(-1)[place] for contrast, values in t_maps.items()},
        t_threshold=t_threshold,
    )


def name_references(rois: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Name -> reference of ROIs that are given as such or by their references alone."""
    return dict(rois) if isinstance(rois, Mapping) else {name: name for name in rois}


def read_hemisphere(
    root: Path, subject: str, ijk: np.ndarray, *, space: str, shape: tuple[int, int, int]
) -> np.ndarray:
    """Hemisphere of each voxel from the lh. and rh. ROI files: "left", "right" or "unknown".

    A hemisphere's volume is -1 outside that hemisphere's cortex. A voxel that both claim goes to
    the one that gives it a label. nsdgeneral is asked first, then the other atlases as needed.
    """
    folder = nsd_files.subject_folder(root, subject, space) / "roi"
    hemisphere = np.full(len(ijk), "unknown", dtype="<U7")
    names = list_volumes(root, subject, space)
    for name in sorted(names, key=lambda name: (name != "nsdgeneral", name not in ATLASES, name)):
        paths = [folder / f"{side}.{name}.nii.gz" for side in nsd_files.SIDES]
        if not all(path.is_file() for path in paths):
            continue
        values = [nsd_files.read_volume(path).values for path in paths]
        if any(value.shape != tuple(shape) for value in values):
            continue
        left, right = (value[tuple(ijk.T)] for value in values)
        unknown = hemisphere == "unknown"
        hemisphere[unknown & (left >= 0) & ((right < 0) | ((left > 0) & (right == 0)))] = "left"
        hemisphere[unknown & (right >= 0) & ((left < 0) | ((right > 0) & (left == 0)))] = "right"
        if (hemisphere != "unknown").all():
            break
    return hemisphere


def read_localiser(
    root: Path,
    subject: str,
    *,
    space: str,
    shape: tuple[int, ...],
    affine: np.ndarray | None,
    of: Path,
) -> dict[str, np.ndarray]:
    """All t-maps of the localiser: contrast -> float (X, Y, Z), on surfaces (vertex,)."""
    found = {}
    for contrast, path in list_contrasts(root, subject, space=space).items():
        if space in nsd_files.SURFACES:
            values: Map = nsd_files.read_surface(nsd_files.name_sides(path))
        else:
            values = nsd_files.read_volume(path)
        found[contrast] = nsd_files.match_map(values, shape=shape, affine=affine, of=of)
    return found


def list_contrasts(root: Path, subject: str, *, space: str) -> dict[str, Path]:
    """Contrasts of the subject's localiser, by name, and the files of their t-maps; on surfaces
    those of the left."""
    pattern = name_contrast(root, subject, "*", space=space)
    start, _, end = pattern.name.partition("*")
    return {
        path.name.removeprefix(start).removesuffix(end): path
        for path in sorted(pattern.parent.glob(pattern.name))
    }


def name_contrast(root: Path, subject: str, contrast: str, *, space: str) -> Path:
    """Path of the t-map of a contrast; on surfaces that of the left. fsaverage has none."""
    if space in nsd_files.SURFACES:
        folder = nsd_files.label_folder(root, subject, space)
        return folder / f"{nsd_files.SIDES[0]}.floc{contrast}tval.mgz"
    return nsd_files.subject_folder(root, subject, space) / f"floc_{contrast}tval.nii.gz"


def find_threshold(region: Region, threshold: float | Mapping[str, float] | None) -> float | None:
    """Threshold that applies to a region; none unless it comes from a localiser's atlas."""
    if region.contrast is None or threshold is None:
        return None
    return threshold.get(region.contrast) if isinstance(threshold, Mapping) else threshold


def _find_here(root: Path, subject: str, reference: str, space: str) -> Region | None:
    atlas, _, label = reference.rpartition(":")
    volumes = list_volumes(root, subject, space)
    if not atlas and reference in volumes:
        return Region(reference, reference, contrast=_find_contrast(reference))
    if not atlas and reference == "brainmask" and space not in nsd_files.SURFACES:
        return Region(reference, reference)
    labels = list_labels(root, subject, space)
    atlases = [
        name for name, names in labels.items() if label in names.values() and atlas in ("", name)
    ]
    atlases = [name for name in atlases if name in ATLASES] or atlases
    if len(atlases) > 1:
        choices = " or ".join(f"{name}:{label}" for name in atlases)
        raise InputError(f"ROI {reference!r}: expected a name of one atlas, found {choices}")
    if not atlases:
        return None
    return Region(reference, atlases[0], label, _find_contrast(atlases[0]))


def _find_contrast(atlas: str) -> str | None:
    if not atlas.startswith("floc-"):
        return None
    return CONTRASTS.get(atlas, atlas.removeprefix("floc-"))


def _read_files(root: Path, subject: str, region: Region, space: str) -> list[Map]:
    mask = region.reference.endswith(MASKS)
    if space in nsd_files.SURFACES:
        left = nsd_files.label_folder(root, subject, space) / f"lh.{region.source}.mgz"
        paths = name_mask(Path(region.source)) if mask else nsd_files.name_sides(left)
        if not any(path.is_file() for path in paths):
            return []
        return [nsd_files.read_surface(paths)]
    if mask:
        return [nsd_files.read_volume(Path(region.source))]
    folder = nsd_files.subject_folder(root, subject, space)
    if region.source == "brainmask":
        paths = [folder / "brainmask.nii.gz"]
    else:
        paths = [folder / "roi" / f"{region.source}.nii.gz"]
        if not paths[0].is_file():
            paths = [folder / "roi" / f"{side}.{region.source}.nii.gz" for side in nsd_files.SIDES]
            lacking = [path for path in paths if not path.is_file()]
            if len(lacking) == 1:
                raise InputError(
                    f"{lacking[0]}: expected both hemispheres of {region.source}, found one"
                )
    return [nsd_files.read_volume(path) for path in paths if path.is_file()]
