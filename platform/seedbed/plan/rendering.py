"""The views that any member of a cohort has of its samples."""

from __future__ import annotations

from seedbed.data.render.render import Rendering
from seedbed.plan.cohort import Cohort


def rendering_of(cohort: Cohort) -> Rendering:
    """The views that any member reads, each made once."""
    views = {view for trial in cohort.trials for view in trial.recipe.objective.views}
    recipe = cohort.recipe
    return Rendering(
        images={
            view: getattr(recipe.augment, view.name)
            for view in sorted(views)
            if view.modality == "image"
        },
        texts=tuple(sorted(view for view in views if view.modality == "text")),
        text_augmentation=recipe.augment.text_aug,
        masking=recipe.augment.text_masked,
        image_size=recipe.image.size,
        context=recipe.text.context,
        caption=recipe.corpus.caption,
        test_caption=recipe.corpus.held_out_caption,
        # Of every view that the recipe describes, read or not: a variant sees the same pixels
        # alone as beside others.
        decode_side=max(
            view.needed_side(recipe.image.size)
            for view in (recipe.augment.image, recipe.augment.image_a, recipe.augment.image_b)
        ),
        seed=recipe.seed,
        test_crop=recipe.augment.test,
        assets=cohort.assets,
    )
