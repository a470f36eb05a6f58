#!/usr/bin/env python3
"""Checks models that the tests wrote: by ONNX's checker, and by what ONNX Runtime makes of them.

    KEEL_ONNX_EXPORTS=FOLDER swift test -c release --filter RuntimeExportTests
    Scripts/check-onnx-exports.py FOLDER

Needs onnx, onnxruntime and numpy, see Benchmarks/peers/requirements.txt. Prints a line for each model that
fails, and the largest difference, relative to an output's largest element. Exits with 1 for any failure.
"""

import pathlib
import sys

import numpy
import onnx
import onnxruntime

BOUND = 1e-4


def arrays(folder, kind):
    """The values of a kind by position, their axes in the model's order."""
    result = {}
    for file in folder.glob(f"{kind},*.npy"):
        _, position, axes = file.stem.split(",")
        order = [int(axis) for axis in axes.split("-")] if axes else []
        result[int(position)] = numpy.array(numpy.load(file).transpose(order), order="C")
    return [result[position] for position in sorted(result)]


def difference(folder):
    """The largest difference of a model's outputs, relative to the largest element of each."""
    path = str(folder / "model.onnx")
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    expected = arrays(folder, "output")
    inputs = zip([i.name for i in session.get_inputs()], arrays(folder, "input"))
    worst = 0.0
    results = session.run(None, dict(inputs))
    if len(results) != len(expected):
        raise ValueError(f"{len(results)} outputs, expected {len(expected)}")
    for position, (found, value) in enumerate(zip(results, expected)):
        if found.shape != value.shape:
            raise ValueError(f"output {position}: shape {found.shape}, expected {value.shape}")
        largest = numpy.abs(value.astype(float)).max() or 1.0
        error = numpy.abs(found.astype(float) - value.astype(float)).max() / largest
        if not error <= BOUND:
            raise ValueError(f"output {position}: difference {error:.2e} of the largest element")
        worst = max(worst, error)
    return worst


def main():
    folders = sorted(pathlib.Path(sys.argv[1]).glob("case*"), key=lambda f: int(f.name[4:]))
    failed, worst = 0, 0.0
    for folder in folders:
        name = (folder / "name.txt").read_text()
        try:
            error = difference(folder)
            worst = max(worst, error)
            if "--all" in sys.argv:
                print(f"{folder.name} {name}: {error:.1e}")
        except Exception as failure:  # whatever a runtime throws is a failure of this model
            failed += 1
            print(f"{folder.name} {name}: {str(failure).strip()[:300]}")
    print(
        f"{len(folders)} models, {failed} failed, largest difference {worst:.1e}"
        f" (onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__})"
    )
    sys.exit(1 if failed or not folders else 0)


main()
