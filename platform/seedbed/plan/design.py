"""The design: the one document that joins a plan, its tracked runs and their report.

It is built from a `Plan`, goes to MLflow as `design.json`, comes back
from there, and is what the analysis reads. The dataclasses below are its schema; `to_json` leaves
out what a design does not have. VERSION is raised when a field comes to mean something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seedbed.errors import TrackingError
from seedbed.metric import Metric, by_name
from seedbed.plan.design_data import DesignData, known_fields
from seedbed.plan.planned import PlannedFactor as PlannedFactor
from seedbed.plan.planned import PlannedTrial as PlannedTrial
from seedbed.plan.surface import Surface
from seedbed.plan.tuned import Tuned
from seedbed.study.arguments import ERRORS
from seedbed.study.claim import Claim, digest_of
from seedbed.study.looks import Looks
from seedbed.study.measured import declared
from seedbed.study.published import Published

VERSION = 1
ORDER = 2  # main effects, and interactions of two


@dataclass(frozen=True, kw_only=True)
class StatedClaim:
    """A claim, and when it was stated, in words; "" before anything has run."""

    claim: Claim
    stated: str = ""

    def to_json(self) -> dict[str, Any]:
        plain = self.claim.to_json()
        return plain | ({"digest": digest_of(plain), "stated": self.stated} if self.stated else {})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StatedClaim:
        return cls(claim=Claim.from_json(values), stated=str(values.get("stated", "")))


@dataclass(frozen=True, kw_only=True)
class StatedError:
    """The error that intervals use, one of ERRORS, and when it was stated, in words."""

    kind: str = ERRORS[0]
    stated: str = ""

    @property
    def digest(self) -> str:
        return digest_of({"kind": self.kind})

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind} | (
            {"digest": self.digest, "stated": self.stated} if self.stated else {}
        )


@dataclass(frozen=True, kw_only=True)
class Look:
    """An interim look: the seeds and trials of an earlier report."""

    num_seeds: int
    num_completed: int


@dataclass(frozen=True, kw_only=True)
class Design:
    """A study as it was planned; `responses` are metrics, the primary first.

    `overrides` are the fields set by hand, with their values as text; `metrics` what the numbers of
    its trials are; `rehearsal` the surface of simulated trials; `looks` what earlier reports were
    written from; `sequential` when it is looked at by its own rule, and when it stops, and
    `looks_stated` when that was stated, in words; `tuned` how each cell was tuned before; `forced`
    the errors of the lint that it ran in spite of. `cells` says which combinations of levels are
    trained, "" for all, and `order` how many factors at most act together in the model for them.
    `paired` says that trials of one seed share what the seed decides, so that they are compared
    within it; else seeds only number the repetitions of a cell.
    """

    study: str
    question: str = ""
    scale: str = ""
    scale_reason: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    factors: Mapping[str, PlannedFactor] = field(default_factory=dict)
    responses: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    published: Published | None = None
    claims: tuple[StatedClaim, ...] = ()
    error: StatedError = StatedError()
    cells: str = ""
    order: int = ORDER
    paired: bool = True
    seeds: tuple[int, ...] = ()
    trials: tuple[PlannedTrial, ...] = ()
    data: DesignData = DesignData()
    rehearsal: Surface | None = None
    looks: tuple[Look, ...] = ()
    tuned: Tuned | None = None
    sequential: Looks | None = None
    looks_stated: str = ""
    forced: tuple[str, ...] = ()

    def metric(self, name: str) -> Metric:
        """The metric `name`: as the design has it, or else as this version declares it."""
        return by_name(self.metrics).get(name) or declared(name)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; what the design does not have is left out."""
        optional = {
            "metrics": [metric.to_json() for metric in self.metrics],
            "published": self.published and self.published.to_json(),
            "claims": [claim.to_json() for claim in self.claims],
            "error": None if self.error == StatedError() else self.error.to_json(),
            "data": self.data.to_json(),
            "rehearsal": self.rehearsal and self.rehearsal.to_json(),
            "looks": [vars(look) for look in self.looks],
            "tuned": self.tuned and self.tuned.to_json(),
            "sequential": self.sequential and self.sequential.to_json(),
            "looks_stated": self.looks_stated,
            "forced": list(self.forced),
            "cells": self.cells,
            "order": 0 if self.order == ORDER else self.order,
        }
        if not self.paired:
            optional["paired"] = "no"
        return {
            "version": VERSION,
            "study": self.study,
            "question": self.question,
            "scale": self.scale,
            "scale_reason": self.scale_reason,
            "overrides": dict(self.overrides),
            "factors": {name: factor.to_json() for name, factor in self.factors.items()},
            "responses": list(self.responses),
            **{name: value for name, value in optional.items() if value},
            "seeds": list(self.seeds),
            "trials": [trial.to_json() for trial in self.trials],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Design:
        """The design that `to_json` wrote.

        Raises TrackingError for a newer version, and for a field that is missing or unknown.
        """
        version = values.get("version", VERSION)
        if version > VERSION:
            raise TrackingError(
                f"the design of '{values.get('study', '?')}' has version {version}",
                why=f"this seedbed reads designs up to version {VERSION}: a newer one may mean "
                "something else by the same field",
                mend="read it with the seedbed that wrote it, or a newer one",
            )
        try:
            return cls(**known_fields(cls, values) | _typed(values))
        except (KeyError, TypeError, AttributeError) as error:
            raise TrackingError(
                f"the design of '{values.get('study', '?')}' cannot be read",
                why=f"{type(error).__name__}: {error}",
                mend="run the study again: what its trials left is kept, and its design is written",
            ) from None


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a design that are more than text, from their JSON form."""
    error = values.get("error") or {}
    surface, published = values.get("rehearsal"), values.get("published")
    return {
        "overrides": dict(values.get("overrides") or {}),
        "factors": {
            name: PlannedFactor.from_json(name, factor)
            for name, factor in values.get("factors", {}).items()
        },
        "responses": tuple(values.get("responses", ())),
        "metrics": tuple(map(Metric.from_json, values.get("metrics", ()))),
        "published": Published.from_json(published) if published else None,
        "claims": tuple(map(StatedClaim.from_json, values.get("claims", ()))),
        "error": StatedError(
            kind=error.get("kind", ERRORS[0]), stated=str(error.get("stated", ""))
        ),
        "seeds": tuple(values.get("seeds", ())),
        "trials": tuple(map(PlannedTrial.from_json, values.get("trials", ()))),
        "data": DesignData.from_json(values.get("data") or {}),
        "rehearsal": Surface(**surface) if surface else None,
        "paired": values.get("paired", "") != "no",
        "looks": tuple(Look(**look) for look in values.get("looks", ())),
        "tuned": Tuned.from_json(values["tuned"]) if values.get("tuned") else None,
        "sequential": Looks.from_json(values["sequential"]) if values.get("sequential") else None,
        "forced": tuple(values.get("forced", ())),
    }
