"""The Python API: `read`, `compare`, `predict`, `judge` and others. The command line is a layer over it."""

from headstart.api.choosing import find_rate, rank
from headstart.api.comparing import compare, fit
from headstart.api.curves import curve
from headstart.api.judging import improve, judge
from headstart.api.loading import load, read
from headstart.api.predicting import predict
from headstart.api.pretraining import pretrain

__all__ = [
    "compare", "curve", "find_rate", "fit", "improve", "judge", "load", "predict", "pretrain", "rank", "read",
]  # fmt: skip
