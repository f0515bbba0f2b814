"""AWD-LSTM: the recurrent language model of ULMFiT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from headstart.pretraining.objectives.objective import OBJECTIVES, at_least
from headstart.pretraining.objectives.recurrent import RecurrentModel


@OBJECTIVES.register("awd")
@dataclass(frozen=True)
class AwdLanguageModel(RecurrentModel):
    """`-1/N sum_t log p(x_t+1 | x_1 ... x_t) + alpha mean(d_t^2) + beta mean((h_t+1 - h_t)^2)`.

    h are the states of the last layer, d the states after the output's dropout. Sources: Merity et al. 2018,
    "Regularizing and Optimizing LSTM Language Models", section 4; Howard & Ruder 2018, "Universal Language Model
    Fine-tuning", 3.1.
    """

    dropout: float = 1.0
    "factor on the five dropout rates; saved in the folder, and used in tuning too"
    learning_rate: float = 3e-3
    "peak learning rate of AdamW"
    alpha: float = 2.0
    "activation regularisation (AR): penalty alpha on large activations"
    beta: float = 1.0
    "temporal activation regularisation (TAR): penalty beta on changes from word to word"
    optimizer: Literal["adamw", "nt_asgd"] = "adamw"
    "optimizer: adamw, or nt_asgd (SGD with a constant rate, whose weights are averaged once `patience` ends)"
    patience: int = 5
    "patience of nt_asgd, in epochs without improvement on validation"

    summary: ClassVar[str] = "ULMFiT's language model: an LSTM with five kinds of dropout"
    network: ClassVar[Literal["awd_lstm", "elmo"]] = "awd_lstm"

    def problems(self) -> Iterator[str]:
        if self.dropout >= 1:  # a factor here, not a share
            yield from (one for one in super().problems() if not one.startswith("dropout"))
        else:
            yield from super().problems()
        if not 0 <= self.dropout <= 3:
            yield f"dropout is {self.dropout}, but is a factor on the rates and has to lie in [0, 3]."
        yield from at_least(self, 1, "patience", unit="epoch")
        if self.optimizer == "nt_asgd" and self.learning_rate < 0.1:
            yield f"learning_rate is {self.learning_rate}, AdamW's; nt_asgd needs such as 10 or the paper's 30."
        if min(self.alpha, self.beta) < 0:
            yield f"alpha and beta are {self.alpha} and {self.beta}, but have to be at least 0."

    @property
    def averages_after(self) -> int:
        return self.patience if self.optimizer == "nt_asgd" else 0

    def penalty(self, dropped: Tensor, raw: Tensor) -> Tensor:
        """Penalty on activations. [B, T, D] each; padding counts too, because almost all windows are full."""
        found = self.alpha * dropped.float().square().mean()
        if raw.shape[1] > 1:
            found = found + self.beta * (raw[:, 1:] - raw[:, :-1]).float().square().mean()
        return found
