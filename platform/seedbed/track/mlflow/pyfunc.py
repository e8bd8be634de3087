"""What MLflow runs for a registered model: this file is copied beside it, and read from there."""

from __future__ import annotations

from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from seedbed.interchange.loading import model_of_export


class PicturesAndTexts(PythonModel):
    """Columns `image` (the bytes of a file) and `text` to normalised embeddings, in the columns
    `image_embedding` and `text_embedding`. With the parameter `names`, pictures to a column of
    probabilities for each name."""

    def load_context(self, context: Any) -> None:
        self.model = model_of_export(context.artifacts["export"])

    def predict(  # type: ignore[no-untyped-def]
        self,
        context,
        model_input,
        params=None,
    ):
        frame = type(model_input)
        images = list(model_input["image"]) if "image" in model_input else []
        names = [str(name) for name in (params or {}).get("names", ())]
        if names:
            templates = [str(one) for one in params.get("templates", ("{}",))]
            return frame(self.model.classify(images, names, templates), columns=names)
        found = {}
        if images:
            found["image_embedding"] = list(self.model.encode_images(images))
        if "text" in model_input:
            found["text_embedding"] = list(self.model.encode_texts(list(model_input["text"])))
        return frame(found)


set_model(PicturesAndTexts())
