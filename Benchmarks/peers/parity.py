"""Whether `keel` reads what PyTorch exports: run, verify and fold of every network, a line for each.

A network has random weights and running statistics, in evaluation mode, and is exported twice: by tracing
(TrainingMode.PRESERVE, no constant folding) and by the default exporter with optimization off. Then

- `keel run` is held to PyTorch, relative to the largest output;
- `keel verify` must exit with 0;
- `keel fold` writes a file that the ONNX checker accepts and ONNX Runtime runs, held to PyTorch as well;
- its report is searched for batch norms that stayed, and why.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy
import onnx
import onnxruntime
import torch

import networks
from accuracy import difference

TOLERANCE = 1e-4


@dataclasses.dataclass
class Line:
    """What became of one file."""

    network: str
    exporter: str
    run: float = float("nan")
    verify: str = "-"
    fold: float = float("nan")
    norms: int = 0
    folded: int = 0
    kept: list[str] = dataclasses.field(default_factory=list)
    trouble: str = ""

    @property
    def passes(self) -> bool:
        """Whether everything holds."""
        return (
            not self.trouble and self.verify == "0"
            and self.run <= TOLERANCE and self.fold <= TOLERANCE
        )  # fmt: skip

    def __str__(self) -> str:
        kept = f"; kept {len(self.kept)}: {', '.join(sorted(set(self.kept)))}" if self.kept else ""
        norms = f"{self.folded} of {self.norms}{kept}"
        end = self.trouble or ("ok" if self.passes else "DIFFERS")
        return (
            f"| {self.network} | {self.exporter} | {self.run:.1e} | {self.verify} | {self.fold:.1e} "
            f"| {norms} | {end} |"
        )


class Keel:
    """The command."""

    def __init__(self, executable: pathlib.Path) -> None:
        self._executable = executable

    def __call__(self, *arguments: object) -> tuple[int, dict[str, object], str]:
        """Status, the JSON object, and what was said."""
        call = [str(self._executable), *map(str, arguments), "--json"]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        try:
            printed = json.loads(done.stdout) if done.stdout else {}
        except json.JSONDecodeError:
            printed = {}
        return done.returncode, printed, done.stderr.strip()


def check(
    keel: Keel, network: networks.Network, exporter: str, folder: pathlib.Path, seed: int, batch: int
) -> Line:
    """One network by one exporter."""
    line = Line(network.name, exporter)
    module, x = network.module(seed), network.images(batch, seed + 1)
    with torch.no_grad():
        expected = module(x).numpy()
    file, given, folded = folder / "model.onnx", folder / "x.npy", folder / "folded.onnx"
    numpy.save(given, x.numpy())
    try:
        networks.export(module, x, exporter, file)
    except Exception as error:  # noqa: BLE001 (an exporter may raise anything)
        line.trouble = f"not exported: {str(error).splitlines()[0][:80]}"
        return line
    nodes = onnx.load(str(file), load_external_data=False).graph.node
    line.norms = sum(node.op_type == "BatchNormalization" for node in nodes)
    # Shapes that a network computes from its batch are known where the batch is.
    for extents in ([], ["--extent", f"batch={batch}"]):
        status, _, said = keel("run", file, given, "-o", folder / "results", *extents)
        if status == 0:
            break
    if status != 0:
        line.trouble = f"run: status {status}, {said.splitlines()[0][:160] if said else ''}"
        return line
    line.run = difference(numpy.load(folder / "results" / "y.npy"), expected)
    status, _, said = keel("verify", file, *extents)
    line.verify = str(status)
    status, report, said = keel("fold", file, "-o", folded, *extents)
    if status != 0:
        line.trouble = f"fold: status {status}, {said.splitlines()[0][:160] if said else ''}"
        return line
    entries = [e for e in report["entries"] if e["operation"].startswith("batch norm")]
    line.folded = sum(e["outcome"] == "folded" for e in entries)
    kept = [e["reason"] for e in entries if e["outcome"] == "kept"]
    # Without the names of layers.
    line.kept = [re.sub(r"ReLU \S+ after", "the ReLU after", reason) for reason in kept]
    try:
        onnx.checker.check_model(str(folded), full_check=True)
        session = onnxruntime.InferenceSession(str(folded), providers=["CPUExecutionProvider"])
        line.fold = difference(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0], expected)
    except Exception as error:  # noqa: BLE001
        line.trouble = f"ONNX Runtime: {str(error).splitlines()[0][:160]}"
    return line


def main() -> int:
    """Prints a line for each network and exporter; status 1 where one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keel", type=pathlib.Path, default=".build/release/keel", help="the command")
    parser.add_argument("--networks", default="", help="a regular expression of their names")
    parser.add_argument("--exporters", default="trace,default")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keel = Keel(options.keel)
    print(f"PyTorch {torch.__version__}, onnx {onnx.__version__}, ONNX Runtime {onnxruntime.__version__}")
    print(f"\nlargest differences relative to the largest output, batch {options.batch}, seed {options.seed}\n")
    print("| network | exporter | keel run | verify | folded, in ONNX Runtime | batch norms folded | |")
    print("|---|---|---|---|---|---|---|", flush=True)
    lines: list[Line] = []
    start = time.monotonic()
    for network in networks.networks():
        if not re.search(options.networks, network.name):
            continue
        for exporter in options.exporters.split(","):
            with tempfile.TemporaryDirectory() as folder:
                line = check(keel, network, exporter, pathlib.Path(folder), options.seed, options.batch)
            lines.append(line)
            print(line, flush=True)
    good = sum(line.passes for line in lines)
    print(f"\n{good} of {len(lines)} within {TOLERANCE:g}, in {time.monotonic() - start:.0f} s")
    return 0 if good == len(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
