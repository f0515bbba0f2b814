"""Pretraining a language model on running text, and the folder it is written to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.backbones.backbone import fingerprint
from headstart.backbones.inputs.preparation import tokenizer_fingerprint
from headstart.backbones.loaders import recurrent
from headstart.backbones.loaders.builtin import unpacked
from headstart.backbones.loaders.transformers_text import copy_reading, tokenizer_of
from headstart.backbones.networks import language
from headstart.backbones.tokenizers.lexicon import Lexicon
from headstart.backbones.tokenizers.tokenizer import TRAINABLE, frame, train_tokenizer, word_begins
from headstart.backbones.tokenizers.words import counted
from headstart.core.disk.files import replacing_folder, write_json
from headstart.core.errors import ArtifactError, ConfigurationError, DataError
from headstart.core.progress import Progress
from headstart.data.audit.findings import Findings
from headstart.data.corpus.corpus import Corpus, together
from headstart.data.corpus.packed import Packed, pack
from headstart.engine.budget import Budget
from headstart.engine.fit import fit
from headstart.engine.runtime import Runtime
from headstart.engine.state.checkpoint import Checkpoint
from headstart.pretraining.jobs.language import Framing, LanguageModelling
from headstart.pretraining.objectives.clm import CausalLanguageModel
from headstart.pretraining.objectives.mlm import MaskedLanguageModel
from headstart.pretraining.objectives.recurrent import RecurrentModel
from headstart.pretraining.pretraining import REPORT, TOLD, UNFINISHED, Request, ended, is_done, report, shown

LanguageModel = MaskedLanguageModel | CausalLanguageModel | RecurrentModel
Network = language.LanguageNetwork | recurrent.RecurrentNetwork
WORSE = "warning: it is worse than before; try a lower learning_rate, or fewer epochs"
SAMPLE = 200_000_000
"maximum number of characters for training a tokenizer"
PACKING = 2
"version of the packing; corpora packed by an older version are packed again"
AGREEMENT, AGREEMENT_HALF = 1e-3, 0.02
"maximum difference of the loss between the network in memory and the loaded one, for fp32 and bf16 weights"


def run(objective: LanguageModel, request: Request) -> list[str]:
    """Trains on the corpus, writes a folder in transformers' format, and returns a summary.

    An interrupted run resumes where it stopped. `pretrained.json` is the report.
    """
    done = _pretrain(objective, Corpus(tuple(request.sources), request.text), request)
    corpus, loss = done["corpus"], done["held_out_loss"]
    return [
        *ended(done),
        f"{corpus['paragraphs']:,} paragraphs, {corpus['tokens']:,} tokens; {done['parameters']:,} parameters, "
        f"{done['steps']:,} steps in {done['seconds']:.0f} s",
        f"loss on held-out text {loss['before']:.3f} -> {loss['after']:.3f}",
        *([WORSE] if loss["after"] > loss["before"] else []),
    ]


def _pretrain(objective: LanguageModel, corpus: Corpus, request: Request) -> dict[str, Any]:
    out, base, seed = request.out, request.base, request.seed
    compute, progress = request.compute, request.progress
    network: Network | None = None
    told: dict[str, Any] = {
        "text": corpus.text,
        "kind": objective.kind,
        "base": base,
        "packing": PACKING,
        "tokenizer": _tokenizer_settings(objective),
    }
    if base is not None:
        network, tokenizer = _existing(objective, base, seed)
        told["fingerprint"] = fingerprint(network.module)  # fingerprinted, because the model may have been replaced
    told["sources"] = corpus.stamp(progress)
    # by corpus and settings, so that other work beside it can be resumed too
    made = hashlib.blake2b(json.dumps(told).encode(), digest_size=6).hexdigest()
    work = out / UNFINISHED / made
    work.mkdir(parents=True, exist_ok=True)
    if network is None:
        tokenizer = _tokenizer(objective, corpus, work, told, progress)
    if objective.kind == "masked" and tokenizer.mask_token_id is None:
        raise ConfigurationError(f"the tokenizer of {base or objective.tokenizer} has no mask token, which mlm needs.")
    if objective.samples >= len(tokenizer):
        raise ConfigurationError(
            f"samples: {objective.samples:,} of a vocabulary of {len(tokenizer):,} save nothing. Give a tenth of it, "
            "or leave samples out."
        )
    # fingerprinted, because a given tokenizer may have changed
    packing = {**told, "tokenizer_fingerprint": tokenizer_fingerprint(tokenizer)}
    stream = _packed(objective, corpus, tokenizer, work, packing, progress)
    if not stream["tokens"]:
        raise DataError(f"{', '.join(corpus.sources)} holds no text.")
    if network is None:
        network = _new(objective, tokenizer, seed)
    before, after = ([], []) if objective.joined else frame(tokenizer)
    mask = tokenizer.mask_token_id
    framing = Framing(before, after, tokenizer.pad_token_id or 0, 0 if mask is None else mask, word_begins(tokenizer))
    room = objective.length - framing.extra
    if objective.next_sentence:
        room = (room - len(after)) // 2
    packed = Packed(work / "tokens", room, objective.joined)
    _check_held_out(packed, stream)
    job = LanguageModelling(network.module, packed, framing, objective, compute, seed, json.dumps([packing, stream]))
    untrained = job.held_out_loss()
    progress.stage(f"pretrain {objective.name}", job.steps_an_epoch() * objective.epochs)
    checkpoint = Checkpoint(out / UNFINISHED / "checkpoint.safetensors")
    trace = fit(job, Budget(objective.epochs), Runtime(compute), checkpoint=checkpoint, progress=progress)
    learned = job.held_out_loss()
    done = report(
        objective, request, {"corpus": {"sources": list(corpus.sources), **stream}},
        ("held_out_loss", learned), trace,
        () if base is None else objective.of_new, parameters=sum(p.numel() for p in network.module.parameters()),
        held_out_loss={"before": untrained, "after": learned},
    )  # fmt: skip
    with replacing_folder(out) as temporary:
        network.save(temporary, tokenizer, request.half)
        if base is not None:
            copy_reading(base, temporary)
        written, _ = _existing(objective, str(temporary), seed)
        again = LanguageModelling(written.module, packed, framing, objective, compute, seed, "").held_out_loss()
        if not abs(again - learned) <= (AGREEMENT_HALF if request.half else AGREEMENT) * max(1.0, learned):
            raise ArtifactError(f"the loss on held-out text is {learned:.4f} in memory, but {again:.4f} after loading.")
        done["value"] = done["held_out_loss"]["after"] = again  # for the saved weights, rounded or not
        write_json(temporary / REPORT, done)
    return done


def _check_held_out(packed: Packed, stream: dict[str, Any]) -> None:
    """Raises `DataError` if the corpus is too small for training and evaluation."""
    many = f"{stream['paragraphs']:,} paragraphs ({stream['tokens']:,} tokens)"
    if not len(packed.held_out):
        if stream["paragraphs"] > 1 and (packed.marks == packed.marks[0]).all():
            raise DataError(f"the corpus has {many}, and all are the same text. Give others, to be judged by.")
        raise DataError(
            f"the corpus has only {many}: too few to learn from some and be judged by others. Give more text, a "
            "paragraph a line."
        )
    if (held := int(packed.held_out.lengths.sum())) > stream["tokens"] / 2:
        raise DataError(
            f"the corpus has only {many}, of which those to judge by are {held / stream['tokens']:.0%} of the text. "
            "Give more text, one paragraph per line."
        )


def _existing(objective: LanguageModel, base: str, seed: int) -> tuple[Network, Any]:
    """Network and tokenizer to continue from."""
    if objective.network != "transformers":
        return recurrent.existing(objective.network, base, objective.dropout)
    with unpacked(base) as place:
        return language.existing(
            objective.kind, place, objective.length, objective.dropout, objective.next_sentence, seed
        )


def _new(objective: LanguageModel, tokenizer: Any, seed: int) -> Network:
    if objective.network != "transformers":
        return recurrent.new(objective.network, objective.size, tokenizer, objective.dropout, seed)
    return language.new(
        objective.kind, objective.size, tokenizer, objective.length, objective.dropout, objective.next_sentence, seed
    )


def _tokenizer_settings(objective: LanguageModel) -> dict[str, Any]:
    return {name: getattr(objective, name) for name in ("tokenizer", "vocabulary", "lowercase", "length")}


def _tokenizer(objective: LanguageModel, corpus: Corpus, work: Path, told: Any, progress: Progress) -> Any:
    """A tokenizer trained on the corpus, or the existing one of an interrupted run."""
    folder = work / "tokenizer"
    if objective.tokenizer == "words":
        return _lexicon(objective, corpus, folder, told, progress)
    if is_done(folder, told):
        return tokenizer_of(str(folder), False)
    if objective.tokenizer not in TRAINABLE:
        return tokenizer_of(objective.tokenizer, False)
    progress.stage("train the tokenizer")
    beginning = _Beginning(corpus)
    tokenizer = train_tokenizer(
        beginning, objective.tokenizer, objective.vocabulary, objective.lowercase,
        objective.kind == "masked", objective.length,
    )  # fmt: skip
    beginning.tell(progress)
    with replacing_folder(folder) as temporary:
        tokenizer.save_pretrained(temporary)
        write_json(temporary / TOLD, told)
    return tokenizer


def _lexicon(objective: LanguageModel, corpus: Corpus, folder: Path, told: Any, progress: Progress) -> Lexicon:
    """A closed lexicon of the most frequent words; other words are unknown."""
    if not is_done(folder, told):
        progress.stage("count words")
        beginning = _Beginning(corpus)
        counts, _ = counted(beginning, objective.lowercase)
        beginning.tell(progress)
        with replacing_folder(folder) as temporary:
            write_json(temporary / "words.json", recurrent.vocabulary_words(counts, objective.vocabulary))
            write_json(temporary / TOLD, told)
    return Lexicon(json.loads((folder / "words.json").read_text(encoding="utf-8")), open=False)


def _packed(
    objective: LanguageModel, corpus: Corpus, tokenizer: Any, work: Path, told: Any,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Writes the corpus as token ids and returns its size in paragraphs, tokens and characters."""
    place = work / "tokens"
    if is_done(work / "packed", told):
        found: dict[str, Any] = json.loads((work / "packed" / "size.json").read_text(encoding="utf-8"))
        return found
    size = {"paragraphs": 0, "characters": 0}
    findings = Findings()

    def encoded() -> Iterator[list[list[int]]]:
        for texts in together(corpus.paragraphs(findings)):
            size["paragraphs"] += len(texts)
            size["characters"] += sum(map(len, texts))
            progress.advance(len(texts))
            ids = tokenizer(
                texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
            )["input_ids"]
            if kept := [row for row in ids if row]:
                yield kept

    progress.stage("tokenize the corpus")
    separator = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id or 0
    tokens = pack(place, encoded(), separator, len(tokenizer))
    found = {**size, "tokens": tokens, "findings": shown(findings, progress)}
    with replacing_folder(work / "packed") as temporary:
        write_json(temporary / "size.json", found)
        write_json(temporary / TOLD, told)
    return found


class _Beginning:
    """Paragraphs for training a tokenizer, as a re-iterable."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus, self.is_all = corpus, True

    def __iter__(self) -> Iterator[str]:
        left = SAMPLE
        for text in self.corpus.paragraphs():
            if left <= 0:
                self.is_all = False
                return
            yield text
            left -= len(text)

    def tell(self, progress: Progress) -> None:
        if not self.is_all:
            progress.say(
                f"the words of the tokenizer come from the first {SAMPLE:,} characters alone; where later files are of "
                "another kind, mix their order"
            )
