"""The body model for the tests of the demo people, loaded once per test run."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from dataset.people.person import Person, PersonPlan, Studio, make_person, open_studio, plan_person

TEXTURE, VERTICES = 256, 14_000


@lru_cache(maxsize=1)
def studio_and_model() -> tuple[Studio, Any]:
    """Return a studio with a small texture, and the body model."""
    return open_studio(TEXTURE)


@lru_cache(maxsize=4)
def person(seed: int) -> tuple[PersonPlan, Person]:
    """Return one person of 14,000 vertices."""
    studio, model = studio_and_model()
    plan = plan_person(seed, model, studio.landmarks)
    return plan, make_person(studio, plan, VERTICES)
