"""`python -m training calibrate`: confidences that mean something, for any checkpoint, on people of any data."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gallery_store.console import quiet, remark
from gallery_store.location import location_of, short_name

if TYPE_CHECKING:
    from training.calibration.audit import JudgedInApp
    from training.calibration.run import CalibrationPlan

HELP = "fit a checkpoint's confidences, tau and threshold on people whose identities are known"

_DESCRIPTION = """\
Make a checkpoint's confidences mean something.

Without a calibration candidates have a rank by CLIP and the model's "Yes" and no confidence, no crop is left unasked
for being too unlike, and "nobody here fits" is never said. This command asks the checkpoint, by the app's own
engine and with the CLIP (and the re-ID encoder, --reid) that it will be served with, for people whose identities are
known: by picture, by picture in other clothes, by words and by both, as far as the data allow. On half of the people it
fits, for each kind of query,

  tau         the similarity below which a crop is not worth asking about
  weights     of P(yes), of CLIP's similarity and of what else helps, none below 0, for a probability of "same person"
  threshold   of the best candidate's probability, below which the answer is "nobody here fits"

and on the other half, of whom nothing was fitted, it measures what that is worth. Then it writes all of it into the
checkpoint's manifest (chatreid.json), in one step; a folder without a manifest gets one, a LoRA adapter's folder too.
A calibration holds for one encoder: with --reid, queries with a picture are calibrated for that encoder, and words for
the CLIP. Calibrate again for another one. Other encoders' calibrations stay."""

_EPILOG = """\
the people:
  --data takes the names of `python -m training datasets`; their "val" split is taken where there is one, else "train"
  (NAME:val and NAME:train choose). Splits for tests are refused. People whom the checkpoint was tuned on are known to
  it: confidences that are fitted on them come out too sure, so that people of another set, or of your own cameras, are
  better. --gallery takes a gallery of your own, imported with `person` labels (python -m gallery_store import):
  at least 40 people, seen by two cameras.

what is printed:
  For each kind of query, of the people that nothing was fitted on: mAP and rank-1 by the prefilter alone (clip), by
  P(yes) alone (pairwise) and as the app ranks (fused); AUROC and false alarms of "nobody here fits", with the same
  people taken out of the gallery for those who are absent; the expected calibration error (ECE) of the first 12
  candidates' confidences before and after; and the encoder, name@version, that prefilters and for which this holds.
  --json prints one object instead. CHECKPOINT.calibration/ keeps result.json and reliability.png, a plot of the
  confidences.

examples:
  python -m training calibrate --model models/reid --clip ViT-B-16/laion2b_s34b_b88k --data market1501 --root data
  python -m training calibrate --model models/reid --clip ViT-B-16/laion2b_s34b_b88k --gallery my.db --from-audit my.db
  python app.py --model models/reid --clip ViT-B-16/laion2b_s34b_b88k
  python -m training calibrate --model models/reid --clip ViT-B-16/laion2b_s34b_b88k --reid market.pt --gallery my.db
  python -m training calibrate --model ray://HOST:8000 --clip ray://HOST:8000 --checkpoint models/reid --gallery g.db"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument(
        "--model",
        required=True,
        metavar="DIR|ray://HOST:PORT",
        help="the checkpoint, or a Ray Serve that computes with it; the manifest in its folder is written",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="with --model ray://: where the checkpoint lies here (default: the path that is served there)",
    )
    parser.add_argument(
        "--clip",
        required=True,
        help="the CLIP to serve it with: a folder, an open_clip name, or ray://HOST:PORT",
    )
    parser.add_argument(
        "--reid",
        default="",
        metavar="NAME",
        help="re-ID encoder that will prefilter queries with a picture, as the app's --reid (default: none)",
    )
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument(
        "--data", metavar="NAME", help="people of a data set: market1501, csv:FILE, synthetic, ..."
    )
    who.add_argument(
        "--gallery", type=location_of, metavar="FILE|URL", help="people of an imported gallery, by its labels"
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="the folder below which --data lies")
    parser.add_argument(
        "--share-for-fit", type=float, default=0.5, metavar="X", help="of the people, 0..1 (default: 0.5)"
    )
    parser.add_argument(
        "--queries",
        type=int,
        default=200,
        metavar="N",
        help="searches of each kind in each half (default: 200)",
    )
    parser.add_argument(
        "--from-audit",
        type=location_of,
        metavar="FILE|URL",
        help="fit also to what operators confirmed and rejected in the app over this gallery (default: no)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a calibration that was stopped or killed"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object of unrounded fractions")
    parser.add_argument(
        "--k", type=int, default=64, help="candidates that the model reads in a search (default: 64)"
    )
    parser.add_argument("--four-bit", action="store_true", help="load the model in 4 bit (NF4)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto")


def run(chosen: argparse.Namespace) -> int:
    """Raises nothing that its user can mend: that is one sentence and exit code 2."""
    from app.model.checkpoint import ModelError
    from app.retrieval.query import RetrievalError
    from app.settings import RAY, SettingsError
    from gallery_store.encoder import EncoderError
    from gallery_store.errors import GalleryError
    from training.calibration.searches import CalibrationError
    from training.datasets.faults import DataSetError
    from training.evaluation.harness import HarnessError

    quiet()
    try:
        from training.calibration.run import calibrate

        plan = _plan(chosen)
        result = calibrate(plan, resume=chosen.resume, judged=_judged(chosen, plan))
    except (
        *(CalibrationError, HarnessError, ModelError, RetrievalError, SettingsError),
        *(EncoderError, GalleryError, DataSetError, OSError),
    ) as error:
        remark(str(error))
        return 2
    if chosen.json:
        print(
            json.dumps(
                {name: result[name] for name in ("kinds", "people", "queries", "unreadable")}, allow_nan=False
            )
        )
    else:
        print(calibration_table(result))
        print(
            f"\n{plan.folder / 'chatreid.json'} is written; {plan.work / 'reliability.png'} shows the confidences."
        )
        by_reid = f" --reid {chosen.reid}" if plan.models.reid else ""
        if chosen.model.startswith(RAY):
            print(
                f"Serve it anew by `python -m app.model.served --model {plan.folder}` and the options that it has, and "
                "start the apps again."
            )
        else:
            print(f"Serve it with `python app.py --model {chosen.model} --clip {chosen.clip}{by_reid}`.")
    return 0


def _plan(chosen: argparse.Namespace) -> CalibrationPlan:
    from app.model.checkpoint import CheckpointManifest
    from app.settings import Settings
    from training.calibration.run import CalibrationPlan
    from training.calibration.searches import may_know, records_of_data, records_of_gallery
    from training.evaluation.workers import Models

    names = ("model", "clip", "reid", "k", "device", "four_bit")
    settings = Settings(**{name: getattr(chosen, name) for name in names})
    if chosen.gallery is not None:
        records, source = records_of_gallery(chosen.gallery), short_name(chosen.gallery)
    else:
        records, source = records_of_data(chosen.data, chosen.root), chosen.data
    models = Models(
        settings.clip,
        settings.model,
        settings.k,
        device=settings.device,
        four_bit=settings.four_bit,
        reid=settings.reid,
    )
    plan = CalibrationPlan(models, records, source, chosen.share_for_fit, chosen.queries, chosen.checkpoint)
    manifest = CheckpointManifest.read(plan.folder)
    if manifest and chosen.data and may_know(manifest.data.get("sets", ()), chosen.data):
        remark(
            f"{chosen.model} was tuned on people of {source}: where these are the same, its confidences come out too "
            "sure, and people whom it does not know are better"
        )
    return plan


def _judged(chosen: argparse.Namespace, plan: CalibrationPlan) -> JudgedInApp | None:
    if chosen.from_audit is None:
        return None
    from training.calibration.audit import judged_in
    from training.calibration.searches import halves

    _, measure_on = halves(plan.records, plan.share)
    judged = judged_in(chosen.from_audit, {record.person for record in measure_on})
    remark(str(judged))
    return judged


def calibration_table(result: dict[str, Any]) -> str:
    """A row for each kind of query, as Markdown; percent but for AUROC and ECE."""
    from training.evaluation.printing import markdown_table

    heads = ("clip", "pairwise", "fused", "AUROC", "false alarms", "ECE before", "after", "encoder")
    rows = [["mAP / rank-1", *heads]]
    for kind, of in result["kinds"].items():
        by_ranker = [f"{100 * one['mAP']:.1f} / {100 * one['rank1']:.1f}" for one in of["rankers"].values()]
        auroc, alarms = f"{of['auroc']:.3f}", f"{100 * of['false_alarms']:.1f}"
        errors = [f"{of[which]:.3f}" for which in ("ece_before", "ece_after")]
        rows.append([kind, *by_ranker, auroc, alarms, *errors, of["encoder"]])
    lines = markdown_table(rows)
    lines.append(
        f"\n{result['people']} people of {result['source']}, {result['queries']} searches; the figures are of those "
        f"people that nothing was fitted on."
    )
    if unread := result["unreadable"]:
        lines.append(f"{unread} searches were left out, since their pictures cannot be read.")
    return "\n".join(lines)
