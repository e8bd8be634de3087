"""Models of this package and of open_clip, as an evaluation asks for them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import PIL.Image
import torch
from safetensors import SafetensorError
from torch import Tensor

from seedbed.data.render import tokenizer
from seedbed.data.render.image import CenterCrop
from seedbed.errors import DataError, SampleFault
from seedbed.evaluate.encoder import Encoder
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.similarity import Cosines, Similarity

if TYPE_CHECKING:
    from PIL.Image import Image

    from seedbed.evaluate.encoder import Classifier, Read, Rows

TEXTS = 256  # encoded at a time
# What a file of weights that is cut off, or is none, makes its readers raise.
BROKEN = (
    *(RuntimeError, OSError, ValueError, KeyError, EOFError),
    *(pickle.UnpicklingError, SafetensorError),
)


def protocol_of(crop: CenterCrop, size: int, precision: str = "fp32") -> dict[str, Any]:
    """What of a `Pretrainer` changes a result beside its weights."""
    return {
        "precision": precision,
        "size": size,
        "crop": repr(crop),
        "interpolation": crop.interpolation.name.lower(),
        "decoding": "upright, transparency on white",
    }


def not_aligned(name: str) -> DataError:
    """Of a model that was not trained to compare pictures with texts."""
    return DataError(
        f"{name} was not trained to compare pictures with texts",
        why="none of its terms draws the two together",
        mend="evaluate it with --probe, which reads its pictures' features only",
    )


class TrainedEncoder(Encoder):
    """A `Pretrainer` with the crop and the context of its recipe."""

    def __init__(
        self, name: str, model: Pretrainer, crop: CenterCrop, size: int, context: int
    ) -> None:
        self.name, self.model, self.crop, self.size = name, model.eval(), crop, size
        self.context = context
        self.device = next(model.parameters()).device
        self._similarity = model.similarity()
        self.compares = self._similarity is not None
        if "image" not in model.projections and "image" in model.towers:
            pooled = getattr(model.towers["image"], "pooled", True)
            self.features = "pooled features" if pooled else "means of token features"
        self.protocol = protocol_of(crop, size, model.precision)

    @property
    def pixels(self) -> tuple[object, ...]:
        return ("uint8", self.size, self.crop)

    def prepare(self, picture: Image) -> Tensor:
        return torch.tensor(self.crop(picture, self.size))  # a copy: decoders may lend theirs

    @torch.inference_mode()
    def embed_images(self, pictures: Tensor) -> Tensor:
        """Of a model without embeddings what its tower pools, or else the mean of its tokens."""
        sent = pictures.to(self.device)
        if "image" in self.model.projections:
            return self.model.embed_image(sent).cpu()
        encoded = self.model.towers["image"](sent)
        found: Tensor = encoded.tokens.mean(1) if encoded.pooled is None else encoded.pooled
        return found.float().cpu()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        parts = [self.model.embed_text(ids, lengths) for ids, lengths in self._batches(texts)]
        return torch.cat(parts).cpu()

    @property
    def similarity(self) -> Similarity:
        """Raises DataError for a model that was not trained to compare."""
        if self._similarity is None:
            raise not_aligned(self.name)
        return self._similarity

    @property
    def _by_token(self) -> bool:
        return not isinstance(self.similarity, Cosines)

    def blocks(self, prompts: Sequence[Sequence[str]]) -> list[Sequence[Sequence[str]]]:
        """Of a model that compares tokens by template: its classes are compared together."""
        if not self._by_token:
            return super().blocks(prompts)
        by_template = [[[text] for text in texts] for texts in zip(*prompts, strict=True)]
        return [own[n : n + TEXTS] for own in by_template for n in range(0, len(own), TEXTS)]

    @torch.inference_mode()
    def read_block(self, block: Sequence[Sequence[str]]) -> tuple[Tensor, ...]:
        if not self._by_token:
            return super().read_block(block)
        (columns,) = self._batches([text for own in block for text in own])
        return tuple(one.cpu() for one in self.similarity.read_text(*columns))

    def classifier_of(self, read: Read) -> Classifier:
        """By embeddings; for a model that compares tokens the mean of the prompts' similarities.

        That is how FILIP's prompts are averaged: tokens of two prompts have no common mean (Yao et
        al. 2022, arXiv:2111.07783, section 3.3).
        """
        if not self._by_token:
            return super().classifier_of(read)
        texts = [tuple(one.to(self.device) for one in block) for block in read.blocks]
        num_classes = max(read.places) + 1

        @torch.inference_mode()
        def scores(pictures: Tensor) -> Tensor:
            image = self.similarity.read_image(pictures.to(self.device))
            found = torch.cat([self.similarity.by_image(image, one).float() for one in texts], 1)
            return read.every(torch.stack(torch.split(found, num_classes, dim=1)).mean(0).cpu())

        return scores

    @torch.inference_mode()
    def rows(self, pictures: Tensor) -> Tensor:
        """Normalised embeddings [n, d], or for a model that compares tokens those [n, P, d]."""
        if not self._by_token:
            return super().rows(pictures)
        return self.similarity.read_image(pictures.to(self.device)).float().cpu()

    @torch.inference_mode()
    def compared(self, rows: Tensor, captions: Sequence[str]) -> tuple[Rows, Rows]:
        """For a model that compares tokens two tables of all pictures and all captions, each by
        its own tokens: a picture finds captions by the first, a caption pictures by the other."""
        if not self._by_token:
            return super().compared(rows, captions)
        texts = [self.similarity.read_text(*columns) for columns in self._batches(captions)]
        tables: list[tuple[Tensor, Tensor]] = []
        for some in torch.split(rows, TEXTS):
            image = some.to(self.device)
            both = [self.similarity.both(image, text) for text in texts]
            to_text, to_image = (torch.cat(one, 1).float().cpu() for one in zip(*both, strict=True))
            tables.append((to_text, to_image))
        to_text, to_image = (torch.cat(one) for one in zip(*tables, strict=True))
        return lambda part: to_text[part], lambda part: to_image.T[part]

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        ids, lengths = tokenizer.encode(texts, self.context)
        for first in range(0, len(texts), TEXTS):
            part = slice(first, first + TEXTS)
            longest = int(lengths[part].max())
            yield (
                torch.from_numpy(ids[part, :longest]).to(self.device),
                torch.from_numpy(lengths[part]).to(self.device),
            )


class OpenClipEncoder(Encoder):
    """A model of open_clip, with its own preprocessing and tokenizer, in single precision."""

    def __init__(
        self, name: str, pretrained: str, model: Any, preprocess: Any, tokenize: Any
    ) -> None:
        self.name, self.pretrained = name, pretrained
        self.model, self._preprocess = model.eval(), preprocess
        self._tokenize = tokenize
        self.device = next(model.parameters()).device
        steps = getattr(preprocess, "transforms", ())
        resizes = [step.interpolation for step in steps if hasattr(step, "interpolation")]
        self.protocol = {
            "precision": "fp32",
            "preprocess": repr(preprocess),
            "interpolation": ", ".join(how.value for how in resizes),
            "decoding": "not turned, transparency left out",
        }

    @classmethod
    def named(cls, said: str, device: str = "cpu") -> OpenClipEncoder:
        """`MODEL`, `MODEL@PRETRAINED` or `MODEL@PATH`. Raises DataError for an unknown one."""
        import open_clip

        architecture, _, weights = said.partition("@")
        known = open_clip.list_models()
        if architecture not in known and not architecture.startswith("local-dir:"):
            from seedbed.errors import nearest

            raise DataError(
                f"open_clip has no model '{architecture}'",
                why="open_clip:MODEL names one of its architectures",
                mend=nearest(architecture, known),
            )
        try:
            model, _, preprocess = open_clip.create_model_and_transforms(
                architecture, pretrained=weights or None, device=device
            )
        except BROKEN as error:
            raise DataError(
                f"open_clip cannot make {said}",
                why=f"{type(error).__name__}: {error}",
                mend="give MODEL@PRETRAINED with a name of `open_clip.list_pretrained()`, or "
                "MODEL@PATH with a file of this architecture",
            ) from None
        tokenize = open_clip.get_tokenizer(architecture)
        return cls(f"open_clip:{said}", weights, model, preprocess, tokenize)

    @property
    def pixels(self) -> tuple[object, ...]:
        return ("open_clip", repr(self._preprocess))

    def decode(self, content: bytes) -> Image:
        """As clip_benchmark does: colours as they are, however transparent, and not turned."""
        try:
            return PIL.Image.open(io.BytesIO(content)).convert("RGB")
        except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
            raise SampleFault(f"picture does not decode: {error}") from None

    def prepare(self, picture: Image) -> Tensor:
        prepared: Tensor = self._preprocess(picture)
        return prepared

    @torch.inference_mode()
    def embed_images(self, pictures: Tensor) -> Tensor:
        embedded: Tensor = self.model.encode_image(pictures.to(self.device)).cpu()
        return embedded

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        parts = [
            self.model.encode_text(self._tokenize(list(texts[n : n + TEXTS])).to(self.device))
            for n in range(0, len(texts), TEXTS)
        ]
        return torch.cat(parts).cpu()
