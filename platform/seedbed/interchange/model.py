"""A trained model, for use: pictures and captions to embeddings, pictures to names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seedbed.data.decode import decode
from seedbed.data.render import tokenizer
from seedbed.errors import DataError, SampleFault, StudyError
from seedbed.evaluate.pretrained import TrainedEncoder
from seedbed.interchange.described import Described
from seedbed.model.pretrainer import Pretrainer

BATCH = 256
Picture = Image.Image | str | Path | bytes


class Model:
    """A trained model in evaluation mode, on `device`.

    `pretrainer` is the module itself, with its towers, heads and scales; `described` says what it
    is made of, `recipe` all of the recipe that it was trained by, and `data_fingerprint` which data
    it met, as far as that is known.
    """

    def __init__(
        self,
        pretrainer: Pretrainer,
        described: Described,
        recipe: dict[str, Any] | None = None,
        data_fingerprint: str = "",
    ) -> None:
        self.pretrainer, self.described = pretrainer.eval(), described
        self.recipe, self.data_fingerprint = recipe or {}, data_fingerprint

    @property
    def device(self) -> torch.device:
        return next(self.pretrainer.parameters()).device

    @property
    def _context(self) -> int:
        return self.described.text.context

    def to(self, device: str | torch.device) -> Model:
        self.pretrainer.to(device)
        return self

    @torch.inference_mode()
    def encode_images(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Normalised embeddings [n, embed_dim] of pictures, files or their bytes.

        Raises StudyError for a model that compares tokens, and DataError for what is no picture.
        """
        self._check_embeds("image")
        parts = [
            F.normalize(self.pretrainer.embed_image(p), dim=-1) for p in self._pixels(pictures)
        ]
        return self._numbers(parts, "picture")

    @torch.inference_mode()
    def encode_texts(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """Normalised embeddings [n, embed_dim] of captions; what exceeds the context is cut off."""
        self._check_embeds("text")
        parts = [
            F.normalize(self.pretrainer.embed_text(*columns), dim=-1)
            for columns in self._tokens(captions)
        ]
        return self._numbers(parts, "caption")

    @torch.inference_mode()
    def classify(
        self,
        pictures: Picture | Sequence[Picture],
        names: Sequence[str],
        templates: Sequence[str] = ("{}",),
    ) -> NDArray[np.float32]:
        """Probabilities [n, names]: the softmax of the scaled similarity to each name's prompts.

        A name's embedding is the mean of its normalised prompts, normalised (Radford et al. 2021,
        sec. 3.1.4). A model that compares tokens scores every prompt, and the mean counts: tokens
        of unlike prompts have no mean. Raises StudyError for a template without `{}`, and DataError
        for a model that was not trained to compare the two.
        """
        if isinstance(pictures, (Image.Image, str, Path, bytes)):
            pictures = [pictures]
        _check_prompts(names, templates)
        classify = self.encoder("the model").classifier(
            [[t.format(name) for t in templates] for name in names]
        )
        scale = self._scale().cpu()
        scores = [classify(pixels).cpu() for pixels in self._pixels(pictures)]
        return self._numbers([(scale * one).softmax(-1) for one in scores], "picture")

    def encoder(self, name: str) -> TrainedEncoder:
        """As evaluations ask for it."""
        crop, size = self.described.crop, self.described.image.size
        return TrainedEncoder(name, self.pretrainer, crop, size, self._context)

    def _scale(self) -> Tensor:
        """exp(theta) of the scale that the comparing term has, within its cap; 1 without one."""
        aligning = self.pretrainer.objective.aligning()
        if aligning is not None:
            weighted = dict(self.pretrainer.objective.items())[aligning[0]]
            for temperature in weighted.term.temperatures:
                scale = self.pretrainer.thetas[temperature.name].exp()
                return scale if temperature.cap is None else scale.clamp(max=temperature.cap)
        return torch.ones((), device=self.device)

    def _pixels(self, pictures: Sequence[Picture]) -> Iterator[Tensor]:
        crop, size = self.described.crop, self.described.image.size
        for first in range(0, len(pictures), BATCH):
            part = [crop(_opened(one), size) for one in pictures[first : first + BATCH]]
            yield torch.from_numpy(np.stack(part)).to(self.device)

    def _tokens(self, captions: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        ids, lengths = tokenizer.encode(captions, self._context)
        for first in range(0, len(captions), BATCH):
            part = slice(first, first + BATCH)
            yield (
                torch.from_numpy(ids[part]).to(self.device),
                torch.from_numpy(lengths[part]).to(self.device),
            )

    def _check_embeds(self, modality: str) -> None:
        if modality not in self.pretrainer.projections:
            raise StudyError(
                f"the model has no embedding of a whole {modality}",
                why="its objective compares tokens, as FILIP's does, and no loss ever trained one",
                mend="use classify, which compares tokens",
            )

    def _numbers(self, parts: Sequence[Tensor], what: str) -> NDArray[np.float32]:
        if not parts:
            return np.empty((0, self.described.embed_dim), np.float32)
        numbers = torch.cat(list(parts)).float().cpu()
        bad = (~torch.isfinite(numbers).all(1)).nonzero()
        if len(bad):
            raise DataError(
                f"{what} number {int(bad[0])} has a result that is not finite",
                why="the model's weights are broken: it must not answer",
                mend="load another trial, or restore its weights",
            )
        found: NDArray[np.float32] = numbers.numpy()
        return found


def _check_prompts(names: Sequence[str], templates: Sequence[str]) -> None:
    if not names or not templates or isinstance(names, str) or isinstance(templates, str):
        raise StudyError(
            f"classify is given the names {names!r} and the templates {templates!r}",
            why="it chooses among a list of names, each in a list of templates",
            mend='give lists, as in (["cat", "dog"], ["a photo of a {}."])',
        )
    for template in templates:
        if "{}" not in template:
            raise StudyError(
                f"the template '{template}' has no {{}}",
                why="every name would have the same prompt",
                mend="put {} where the name goes, as in 'a photo of a {}.'",
            )


def _opened(picture: Picture) -> Image.Image:
    """RGB, upright; transparency is laid on white, as in training."""
    if isinstance(picture, Image.Image) and picture.mode == "RGB":
        return picture
    named = "a picture" if isinstance(picture, (bytes, Image.Image)) else str(picture)
    try:
        return decode(_content(picture))
    except (SampleFault, OSError) as fault:
        raise DataError(
            f"{named} cannot be read",
            why=str(fault),
            mend="give JPEG, PNG, WebP or GIF, or a PIL picture",
        ) from None


def _content(picture: Picture) -> bytes:
    if isinstance(picture, Image.Image):
        held = BytesIO()
        picture.save(held, "PNG")
        return held.getvalue()
    return picture if isinstance(picture, bytes) else Path(picture).expanduser().read_bytes()
