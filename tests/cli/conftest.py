"""What the command line's tests share: tiny models as folders, small data, and a way to call the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from backbones.tiny import save
from cli.calling import FAST, Call, call, images, reviews


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `bert` and `resnet`."""
    folder = tmp_path_factory.mktemp("models")
    save("bert", folder / "bert")
    save("timm_resnet", folder / "resnet")
    return folder


@pytest.fixture
def here(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with `reviews.csv` and links to the models."""
    for name in ("bert", "resnet"):
        (tmp_path / name).symlink_to(models / name)
    reviews(tmp_path / "reviews.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def text_run(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """A finished comparison on texts; `folder` is its run folder. Tests must not change it."""
    folder = tmp_path_factory.mktemp("text")
    data = reviews(folder / "reviews.csv")
    return call("compare", data, "--model", models / "bert", *FAST, "--out", folder / "run").expect(0, folder / "run")


@pytest.fixture(scope="session")
def lora_run(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Texts again, with a model that libraries have a class for."""
    folder = tmp_path_factory.mktemp("lora")
    arguments = ("fit", reviews(folder / "reviews.csv"), "--model", models / "bert", "--trials", "1", "--epochs", "1")
    return call(*arguments, "--out", folder / "run").expect(0, folder / "run")


@pytest.fixture(scope="session")
def image_run(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """A finished comparison on images."""
    folder = tmp_path_factory.mktemp("image")
    data = images(folder / "photos")
    return call("compare", data, "--model", models / "resnet", *FAST, "--out", folder / "run").expect(0, folder / "run")
