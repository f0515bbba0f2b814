"""Signature of an adaptation: a hash of all that decides its weights, so that no other resumes from its checkpoint."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.engine.adaptation import Adaptation


def signature_of(job: Adaptation) -> str:
    edits = [(edit.place, getattr(edit.build, "keywords", None)) for edit in job.plan.edits]
    plan = replace(job.plan, edits=())
    run = (job.options, job.compute.precision, job.seed, job.share)
    text = repr((plan, edits, job.settings, job.task, run))
    text += job.backbone.fingerprint + repr((job.train.augment, job.train.content, job.validation.content))
    text += repr([job.feeds[stream.name].content for stream in job.plan.streams])
    for part in (job.train, job.validation):
        text += repr((part.examples.ids.tolist(), part.examples.targets.tolist()))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
