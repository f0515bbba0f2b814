"""No file of a stranger's runs code by being read: each place gets a pickle that would leave a mark."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from backbones import tiny
from headstart import read
from headstart.artifacts.predictor import Predictor
from headstart.backbones.loaders.load import load, two_towers
from headstart.core.errors import HeadstartError, ModelError


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def plain(mark: Path, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(Planted(mark)))
    return file


def zipped(mark: Path, file: Path) -> Path:
    """As torch.save writes it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weight": Planted(mark)}, file)
    return file


def test_the_plant_would_run(mark: Path, tmp_path: Path) -> None:
    torch.load(zipped(mark, tmp_path / "file.pt"), weights_only=False)
    assert mark.exists()


# ----------------------------------------------------------------------------------------------------- torchvision
def _in_torchs_cache(home: Path, name: str) -> Path:
    from torchvision.models import get_model_weights

    return home / "hub" / "checkpoints" / get_model_weights(name).DEFAULT.url.rpartition("/")[2]


@pytest.mark.parametrize("plant", [plain, zipped])
def test_torchvisions_cache(plant: Callable[..., Path], mark: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    file = plant(mark, _in_torchs_cache(tmp_path / "torch", "resnet18"))
    with pytest.raises(ModelError, match="is not what torchvision published: its SHA-256 begins with"):
        load("torchvision/resnet18")
    monkeypatch.setattr("headstart.backbones.loaders.torchvision._check_hash", lambda file: None)
    with pytest.raises(ModelError, match="holds more than tensors"):
        load("torchvision/resnet18")
    assert not mark.exists()
    assert file.exists()


def test_torchvisions_own_weights_load(tmp_path: Path, monkeypatch: Any) -> None:
    from torchvision.models import get_model

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = _in_torchs_cache(tmp_path, "squeezenet1_1")
    file.parent.mkdir(parents=True)
    module = get_model("squeezenet1_1", weights=None)
    torch.save(module.state_dict(), file)
    with pytest.raises(ModelError, match="SHA-256"):
        load("torchvision/squeezenet1_1")
    monkeypatch.setattr("headstart.backbones.loaders.torchvision._check_hash", lambda file: None)
    backbone = load("torchvision/squeezenet1_1")
    assert torch.equal(next(backbone.module.parameters()), next(module.parameters()))
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


# --------------------------------------------------------------------------------------- folders of transformers, timm
NAMES = ("pytorch_model.bin", "model.safetensors", "model.pt", "pytorch_model-00001-of-00001.bin", "tf_model.h5")


@pytest.mark.parametrize("network", ["bert", "vit", "clip", "timm_resnet"])
def test_a_models_folder(network: str, mark: Path, tmp_path: Path) -> None:
    whole = tiny.save(network, tmp_path / "whole")
    for weights in whole.glob("*.safetensors"):
        weights.unlink()
    for file in NAMES:
        folder = Path(shutil.copytree(whole, tmp_path / file))
        zipped(mark, folder / file)
        if "00001" in file:
            index = {"metadata": {}, "weight_map": {"weight": file}}
            (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        for reads in (load, two_towers) if network == "clip" else (load,):
            with pytest.raises(ModelError, match="can run code|can't (read|load)|no weights"):
                reads(str(folder))
    assert not mark.exists()


@pytest.mark.parametrize("network", ["bert", "timm_resnet"])
def test_what_lies_beside_the_weights(network: str, mark: Path, tmp_path: Path) -> None:
    folder = tiny.save(network, tmp_path / "model")
    for name in ("training_args.bin", "optimizer.pt", "adapter_model.bin", "pytorch_model.bin", "vocab.pkl"):
        plain(mark, folder / name)
    config = json.loads((folder / "config.json").read_text())
    if network == "timm_resnet":  # an argument of create_model that reads a file
        config["model_args"] = {**config["model_args"], "checkpoint_path": str(folder / "optimizer.pt")}
        config["model_args"]["pretrained"] = True
    (folder / "config.json").write_text(json.dumps(config))
    load(str(folder))
    (folder / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["query"]}'
    )
    try:
        load(str(folder))
    except HeadstartError:
        assert network == "bert"
    assert not mark.exists()


def test_the_hubs_cache(mark: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """What `hf download` has put there, with the pickle alone."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name, network in (("some/bert", "bert"), ("timm/resnet10t.c3_in1k", "timm_resnet")):
        place = tmp_path / "cache" / f"models--{name.replace('/', '--')}"
        folder = tiny.save(network, place / "snapshots" / "abc")
        for weights in folder.glob("*.safetensors"):
            weights.unlink()
        zipped(mark, folder / "pytorch_model.bin")
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text(folder.name)
        with pytest.raises(ModelError, match=r"does not have|more than tensors"):
            load(name)
    assert not mark.exists()


# ------------------------------------------------------------------------------------------------ word vectors, runs
@pytest.mark.parametrize("name", ["vectors.bin", "vectors.txt", "vectors.model", "vectors.npy", "vectors.pkl"])
@pytest.mark.parametrize("plant", [plain, zipped])
def test_files_of_word_vectors(name: str, plant: Callable[..., Path], mark: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError):
        load(str(plant(mark, tmp_path / name)))
    assert not mark.exists()


def test_a_run_of_someone_else(mark: Path, tmp_path: Path) -> None:
    folder, base = tmp_path / "run", tiny.save("bert", tmp_path / "base")
    value = {
        "method": "probe", "configuration": {}, "preparation": {}, "head_bias": True, "tensors": [],
        "task": {"kind": "single_label", "modality": "text", "labels": ["a", "b"]},
        "base": {"source": "x", "loader": "transformers", "fingerprint": "0", "options": {}, "reload": str(base)},
    }  # fmt: skip
    for name in ("weights.safetensors", "weights.pt", "optimizer.bin"):
        zipped(mark, folder / name)
    (folder / "artifact.json").write_text(json.dumps(value))
    with pytest.raises(HeadstartError):
        Predictor(folder)
    value["base"]["options"] = {"trust_remote_code": True}
    (folder / "artifact.json").write_text(json.dumps(value))
    with pytest.raises(HeadstartError, match="gives the base the options trust_remote_code"):
        Predictor(folder)
    assert not mark.exists()


# ------------------------------------------------------------------------------------------------------------ data
@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".npy", ".npz", ".pt", ".csv", ".jsonl", ".parquet", ".arrow"])
def test_files_of_data(suffix: str, mark: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError):
        read(str(plain(mark, tmp_path / f"data{suffix}")))
    with pytest.raises(HeadstartError):
        read(str(tmp_path))
    assert not mark.exists()


def test_types_of_arrow(mark: Path, tmp_path: Path) -> None:
    """pyarrow once read the types of columns from pickles in the file."""
    kind, told = "ARROW:extension:name", "ARROW:extension:metadata"
    field = pa.field("text", pa.string(), metadata={kind: "arrow.py_extension_type", told: pickle.dumps(Planted(mark))})
    columns = {"text": [f"text {n}" for n in range(20)], "label": [n % 2 for n in range(20)]}
    table = pa.table(list(columns.values()), pa.schema([field, ("label", "int64")]))
    pq.write_table(table, tmp_path / "data.parquet")
    read(str(tmp_path / "data.parquet"))
    import datasets

    datasets.Dataset.from_dict(columns).save_to_disk(str(tmp_path / "saved"))
    (arrow,) = (tmp_path / "saved").glob("*.arrow")
    with pa.OSFile(str(arrow), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    for name in ("state.pkl", "dataset.pickle"):
        plain(mark, tmp_path / "saved" / name)
    read(str(tmp_path / "saved"))
    shutil.rmtree(tmp_path / "saved")
    assert not mark.exists()
