"""Where a checkpoint's manifest is written: in its folder on this machine, wherever the model itself computes."""

from __future__ import annotations

from pathlib import Path

from app.model.loading import find_checkpoint
from app.settings import OPENAI, RAY
from training.calibration.searches import CalibrationError


def checkpoint_folder(model: str, named: Path | None = None) -> Path:
    """The folder of the checkpoint that --model names.

    Args:
        model: a folder, or ray://HOST:PORT. named: where on this machine the checkpoint lies that is served there;
            None where its path is the same here.

    Raises:
        CalibrationError: it is not on this machine, or not what is served, or nothing that a calibration applies to.
        ModelError: there is no checkpoint, or nobody answers.
    """
    if model.startswith(OPENAI):
        raise CalibrationError(
            f"{model} cannot be calibrated: no calibration applies to what a model server gives; calibrate the "
            "checkpoint's folder, and serve it by app.py --model or on Ray Serve"
        )
    if model.startswith(RAY):
        return _folder_of_served(model, named)
    if named is not None:
        raise CalibrationError(
            f"--checkpoint says where the model lies that a Ray Serve has, and --model {model} is here: leave it out"
        )
    folder = find_checkpoint(model).folder
    if folder is None:
        raise CalibrationError(
            f"{model} is a name on the hub, and a calibration is kept in the checkpoint's folder: "
            f"download it first (`hf download {model} --local-dir DIR`), and name that folder"
        )
    return folder.resolve()


def _folder_of_served(address: str, named: Path | None) -> Path:
    from app.model.reid_model import ReidModel
    from app.model.served.answering import version_of_model
    from app.model.served.connection import Connection
    from app.model.served.reid import ROUTE

    about = Connection(address, ROUTE).about()
    folder = named or Path(str(about["spec"]))
    if not folder.is_dir():
        raise CalibrationError(
            f"the model at {address} is served from {about['spec']}, and {folder} is no folder of this machine, but a "
            "calibration is kept in the checkpoint's folder: say by --checkpoint DIR where it lies here, or run this "
            "where it does"
        )
    if version_of_model(ReidModel.load(folder), str(folder)) != about["version"]:
        raise CalibrationError(
            f"{folder} has other weights or another manifest than the model at {address}: name the folder that is "
            f"served by --checkpoint DIR, or serve this one (`python -m app.model.served --model {folder}`)"
        )
    return folder.resolve()
