"""`python -m gvc_base.train`: scenes, training, export. Run again, it goes on where it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from gvc_base.train.config import TrainConfig, load_config
from gvc_base.train.plot import draw
from gvc_base.train.scenes import make_scene, plan
from gvc_protocol.errors import UserError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True)

_STANDARD = Path(__file__).with_name("standard.toml")


@app.command()
def train(
    data: Annotated[Path, typer.Option("--data", help="Folder of photos and clips.")],
    out: Annotated[Path, typer.Option("--out", help="Scenes, checkpoints, log, plot.")],
    config: Annotated[Path, typer.Option("--config", help="The run, TOML.")] = _STANDARD,
    minutes: Annotated[
        float, typer.Option("--minutes", help="Stop after so many minutes of training.")
    ] = 60.0,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    refine: Annotated[
        Path | None,
        typer.Option("--refine", help="Train the refiner for this network's checkpoint instead."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Export the result into this folder.")
    ] = None,
) -> None:
    """Train the generative decoder's networks: first EvidenceNet, then, with --refine, RefineNet."""
    run = load_config(config)
    if device not in ("cpu", "cuda"):
        raise UserError(f"--device {device}: give cpu or cuda")
    out.mkdir(parents=True, exist_ok=True)
    scenes = out / "scenes"
    scenes.mkdir(exist_ok=True)
    jobs = plan(run.data, data, run.seed)
    listed = [{"scene": j.name, "file": j.source.name, "seed": j.seed} for j in jobs]
    (out / "data.json").write_text(json.dumps(listed, indent=1) + "\n")
    for job in track(jobs, "scenes", console=console):
        make_scene(job, run.data, scenes)
    # The refiner's run shares the scenes and has a folder of its own.
    folder, name = (out, "evidence") if refine is None else (out / "refine", "refine")
    folder.mkdir(exist_ok=True)
    _train(run, scenes, folder, minutes, device, refine)
    if weights is not None:
        from gvc_base.train.export import export

        console.print(f"exported: {export(folder / 'checkpoint.pt', weights, name)}")


def _train(
    run: TrainConfig, scenes: Path, out: Path, minutes: float, device: str, evidence: Path | None
) -> None:
    from gvc_base.train.loop import Trainer
    from gvc_base.train.refine import RefineTrainer

    if evidence is not None and not evidence.is_file():
        raise UserError(f"--refine {evidence}: no such checkpoint; train the network first")
    trainer = (
        Trainer(run, scenes, out, device)
        if evidence is None
        else RefineTrainer(run, scenes, out, device, evidence=evidence)
    )

    def log(line: str) -> None:
        console.print(line)
        draw(out / "log.csv", out / "loss.png")

    trainer.run(until_s=minutes * 60, on_log=log)
    console.print(f"{trainer.step} steps, {trainer.seconds:.0f} s of training in all")


def main() -> None:
    """Entry point: one line and exit code 2 for what the user can mend."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        print(f"train: {error}", file=sys.stderr)
        raise SystemExit(2) from None


main()
