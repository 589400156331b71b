# %% [markdown]
# # A tour of finished results
#
# From a finished demo to a new image, in Python. It is a script of cells: editors run it cell by
# cell, and `jupytext --to notebook docs/tour.py` makes a notebook of it. Run it in the folder
# that holds `results`. [From Python](python.md) lists what there is; this goes one way through
# it.

# %%
import pandas as pd

import mine
from mine.core.synonyms import gather_listed, name_as_listed

results = mine.open("results/demo")
subject = results["subj01"]
print(results, subject.rois)

# %% [markdown]
# ## Is anything predicted?
#
# R² on test images over the noise ceiling, by region, beside the baselines. Nothing below
# deserves a look where this is near zero.

# %%
print(subject.scores["roi_r2_normalised"].to_pandas().round(2))

# %% [markdown]
# ## Which voxels are described, and why are others not?

# %%
region = subject["FFA-1"]
table = region.table()
print(table["reason"].value_counts())
print(table.head()[["r2", "noise_ceiling", "reliability", "words"]])

# %% [markdown]
# ## One voxel
#
# The best predicted one of the described: its words with the evidence, and its exemplars.

# %%
described = table[table["described"]]
voxel = region[(described if len(described) else table).index[0]]
print(voxel.profile)
print(voxel.profile.words[["word", "z", "q", "added", "added_p"]])
voxel.profile.plot().savefig("tour_profile.png")

# %% [markdown]
# ## Why did it answer to this image?
#
# Explained anew, an image of the dataset gets what the workflow has stored for it. The
# attributions of its patches add up to what the image changes in the prediction.

# %%
image = int(voxel.exemplars["image"].iloc[0])
explanation = voxel.explain(image)
change = explanation.prediction - explanation.baseline_prediction
print(explanation)
print(float(explanation.attribution.sum()), "of", change)
explanation.plot().savefig("tour_explanation.png")

# %% [markdown]
# ## A new image
#
# Any picture will do: here the same one upside down, which the experiment never showed. What is
# predicted is as good as the encoder's R², and only for images of a kind that it was tested on.

# %%
turned = voxel.explain(results.pictures([image]).values[0][::-1].copy())
print(turned)
print("predicted:", round(explanation.prediction, 2), "then", round(turned.prediction, 2))

# %% [markdown]
# ## Is it causal?
#
# Features put into images that lack them, and taken out of images that have them: by how many
# standard deviations of the paired differences the described feature shifts the evaluator's
# prediction more than words of random tokens do.

# %%
edits = region.store("counterfactuals")
effect = edits["effect_roi_cohens_dz"].sel(model="evaluator", guide="description", control="random")
print(effect.to_pandas().round(2))

# %% [markdown]
# ## Words across regions
#
# The words that most voxels list, with how many do. Synonyms are one word, which goes in a profile
# by the one of them that is clearest there, and here by the one that most profiles list.

# %%
for name in subject.rois:
    profiles = subject[name].profiles
    known = name_as_listed([profiles], results.base_rates["group"].values)
    listed = pd.Series(results.words[known[gather_listed(profiles)]])
    print(name, listed.value_counts().head(3).to_dict())
