"""How much more memory is resident from before a network is loaded to after its first run.

Each contender loads the network from a file in a process of its own, which has loaded its libraries before:

    resident.py CONTENDER LINE THREADS

prints one JSON object. PyTorch's eager mode maps its file of weights, which keeps it from holding them twice.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch

import inference
import runtimes
import tables
from inference import NetworkLine, NetworkShape
from keel_peer import KeelPeer, PeerError

CONTENDERS = ("torch_eager", "torch_frozen", "onnxruntime", "openvino")


def resident(process: int) -> dict[str, float]:
    """What a process has resident now, and had at most, in MB."""
    text = pathlib.Path(f"/proc/{process}/status").read_text()
    values = dict(line.split(":", 1) for line in text.splitlines())
    return {
        name: int(values[key].split()[0]) * 1024 / 1e6
        for name, key in (("resident_mb", "VmRSS"), ("peak_mb", "VmHWM"))
    }


def increase(process: int, work: Callable[[], object]) -> dict[str, float]:
    """How much more a process has resident after some work, and has had in it at most."""
    before = resident(process)["resident_mb"]
    kept = work()
    after = resident(process)
    del kept
    return {name: value - before for name, value in after.items()}


def _torch_file(shape: NetworkShape, contender: str) -> pathlib.Path:
    """PyTorch's own file of a network: weights, or a frozen trace."""
    wanted = inference.file(shape.network, f".{contender}.pt")
    if not wanted.exists():
        module = inference.module(shape.network)
        part = wanted.with_suffix(".part")
        if contender == "torch_eager":
            torch.save(module.state_dict(), part)
        else:
            x = torch.from_numpy(inference.operands(shape)["x"])
            torch.jit.freeze(torch.jit.trace(module, x)).save(str(part))
        part.replace(wanted)
    return wanted


def _contender(shape: NetworkShape, name: str, threads: int) -> dict[str, float]:
    """Measures a contender in this process."""
    data = inference.operands(shape)

    def work() -> object:
        if not name.startswith("torch_"):
            peer = inference.peer(shape, "forward", data, name, threads)
        else:
            file, x = _torch_file(shape, name), torch.from_numpy(data["x"])
            torch.set_num_threads(threads)
            if name == "torch_eager":
                with torch.device("meta"):
                    body: torch.nn.Module = shape.network.make().eval()
                body.load_state_dict(torch.load(file, mmap=True), assign=True)
            else:
                body = torch.jit.load(str(file))
            peer = runtimes.Torch(body, x, threads)
        return peer, peer.results()

    return increase(os.getpid(), work)


def _measured(line: NetworkLine, name: str, threads: int) -> dict[str, float]:
    """Measures a contender in a process of its own."""
    if name.startswith("torch_"):
        _torch_file(line.shape, name)
    call = [sys.executable, __file__, name, line.name, str(threads)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PeerError(f"{name}, {line.name}: {done.stderr[-500:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _keel(line: NetworkLine, executable: pathlib.Path, keep: bool, threads: int) -> dict[str, float]:
    """Measures Keel."""
    with KeelPeer(executable, keep) as keel:
        keel.load(inference.operands(line.shape))
        # An answer, which says that the process has started and its libraries are loaded.
        keel.machine(threads)

        def work() -> None:
            keel.infer(line.shape, threads, inference.MODES[0])
            keel.run(1)

        return increase(keel.process, work)


def _entry(line: NetworkLine, found: dict[str, dict[str, float]]) -> dict[str, Any]:
    peers = {name: found[name]["resident_mb"] for name in CONTENDERS}
    leanest = min(peers, key=lambda name: peers[name])
    return {
        "line": line.name,
        "resident_mb": {name: figures["resident_mb"] for name, figures in found.items()},
        "peak_mb": {name: figures["peak_mb"] for name, figures in found.items()},
        "leanest_peer": leanest,
        "keel_over_leanest": found["keel"]["resident_mb"] / peers[leanest],
    }


def measure(
    lines: list[NetworkLine], executable: pathlib.Path, keep_environment: bool, threads: int
) -> dict[str, Any]:
    """The one object of `--json`: increases in MB of each contender and line."""
    entries = []
    for line in lines:
        inference.onnx_file(line.shape.network)
        found = {"keel": _keel(line, executable, keep_environment, threads)}
        found |= {name: _measured(line, name, threads) for name in CONTENDERS}
        entries.append(_entry(line, found))
    return {"suite": "inference-memory", "threads": threads, "lines": entries}


def text(document: dict[str, Any]) -> str:
    """A table in Markdown."""
    titles = ("line", "what", "keel", *CONTENDERS, "Keel over the leanest")
    rows = []
    for entry in document["lines"]:
        ratios = {"resident_mb": f"{entry['keel_over_leanest']:.2f}", "peak_mb": "-"}
        for what, ratio in ratios.items():
            cells = (f"{entry[what][name]:.1f}" for name in ("keel", *CONTENDERS))
            rows.append((entry["line"], what.replace("_mb", ""), *cells, ratio))
    head = (
        f"# Increase of memory, {document['threads']} thread(s)\n\nMB from before a network is loaded to after its"
        " first run: resident then, and at most until then.\n\n"
    )
    return head + tables.table(titles, rows)


def write(folder: pathlib.Path, document: dict[str, Any]) -> list[pathlib.Path]:
    """Writes inference-memory.json and .md."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{document['suite']}.{ending}" for ending in ("json", "md")]
    files[0].write_text(json.dumps(document, indent=2) + "\n")
    files[1].write_text(text(document) + "\n")
    return files


if __name__ == "__main__":
    chosen = next(line for line in inference.inference_lines() if line.name == sys.argv[2])
    print(json.dumps(_contender(chosen.shape, sys.argv[1], int(sys.argv[3]))))
