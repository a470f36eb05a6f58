#!/usr/bin/env python3
"""ONNX files for the tests of the `keel` command, and what ONNX Runtime makes of them: Tests/Figures/onnx.

`classifier.onnx` has an open batch, `negative.onnx` is it with a negative variance, `segmenter.onnx` has
open sides, `ports.onnx` two inputs, one of them of integers, and two outputs whose names are no names of
files; `unsupported.onnx` has operators that nobody has.
`x.npy` and so on are inputs and outputs. Needs numpy, onnx and onnxruntime:

    python Scripts/golden/command.py            # writes the files
    python Scripts/golden/command.py --check    # exits with 1 where one differs
"""

import io
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "Tests" / "Figures" / "onnx"
random = np.random.RandomState(6)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def weights(**shapes):
    """Standard normal numbers, halved; variances above 0."""
    made = []
    for name, shape in shapes.items():
        values = random.standard_normal(shape).astype("f4") * np.float32(0.5)
        if name.endswith("variance"):
            values = np.abs(values) + np.float32(0.5)
        made.append(numpy_helper.from_array(values, name.replace("_", ".")))
    return made


def norm(x, y, layer):
    names = [f"{layer}.{part}" for part in ["scale", "shift", "mean", "variance"]]
    return helper.make_node("BatchNormalization", [x] + names, [y], name=layer)


def norm_weights(layer, channels):
    return {f"{layer}_{part}": (channels,) for part in ["scale", "shift", "mean", "variance"]}


def model(nodes, inputs, outputs, initializers):
    values = [
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in side]
        for side in [inputs, outputs]
    ]
    graph = helper.make_graph(nodes, "graph", *values, initializers)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="keel")


def classifier():
    made = weights(
        conv1_weight=(8, 3, 3, 3), conv2_weight=(8, 8, 3, 3), fc_weight=(5, 8), fc_bias=(5,),
        **norm_weights("bn1", 8), **norm_weights("bn2", 8))
    return model(
        [
            helper.make_node("Conv", ["x", "conv1.weight"], ["a"], name="conv1", pads=[1] * 4),
            norm("a", "b", "bn1"),
            helper.make_node("Relu", ["b"], ["c"], name="relu1"),
            helper.make_node("Conv", ["c", "conv2.weight"], ["d"], name="conv2", pads=[1] * 4),
            norm("d", "e", "bn2"),
            helper.make_node("Add", ["e", "c"], ["f"], name="add"),
            helper.make_node("Relu", ["f"], ["g"], name="relu2"),
            helper.make_node("GlobalAveragePool", ["g"], ["h"], name="pool"),
            helper.make_node("Flatten", ["h"], ["i"], name="flatten"),
            helper.make_node("Gemm", ["i", "fc.weight", "fc.bias"], ["logits"], name="fc", transB=1),
        ],
        [("x", TensorProto.FLOAT, ["N", 3, 8, 6])], [("logits", TensorProto.FLOAT, ["N", 5])], made)


def segmenter():
    made = weights(conv_weight=(2, 1, 3, 3), **norm_weights("bn", 2))
    return model(
        [
            helper.make_node("Conv", ["x", "conv.weight"], ["a"], name="conv", pads=[1] * 4),
            norm("a", "b", "bn"),
            helper.make_node("Sigmoid", ["b"], ["mask"], name="sigmoid"),
        ],
        [("x", TensorProto.FLOAT, [1, 1, "height", "width"])],
        [("mask", TensorProto.FLOAT, [1, 2, "height", "width"])], made)


def ports():
    made = weights(table=(4, 3), conv_weight=(2, 3, 1, 1))
    return model(
        [
            helper.make_node("Conv", ["image", "conv.weight"], ["map/out:0"], name="conv"),
            helper.make_node("Gather", ["table", "index"], ["rows"], name="rows"),
            helper.make_node("Transpose", ["rows"], [".rows"], name="turn", perm=[1, 0]),
        ],
        [("image", TensorProto.FLOAT, [1, 3, 2, 4]), ("index", TensorProto.INT64, [2])],
        [("map/out:0", TensorProto.FLOAT, [1, 2, 2, 4]), (".rows", TensorProto.FLOAT, [3, 2])], made)


def unsupported():
    return model(
        [
            helper.make_node("Frobnicate", ["x"], ["a"], name="first"),
            helper.make_node("Loop", ["a"], ["y"], name="second"),
        ],
        [("x", TensorProto.FLOAT, [1, 3])], [("y", TensorProto.FLOAT, [1, 3])], [])


def run(model, **inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def files():
    networks = {"classifier": classifier(), "segmenter": segmenter(), "ports": ports()}
    for network in networks.values():
        onnx.checker.check_model(network, full_check=True)
    x = random.standard_normal((2, 3, 8, 6)).astype("f4")
    image = random.standard_normal((1, 3, 2, 4)).astype("f4")
    index = np.array([3, 1])
    outputs = run(networks["ports"], image=image, index=index)
    arrays = {
        "classifier-x": x,
        "classifier-logits": run(networks["classifier"], x=x)[0],
        "ports-image": image,
        "ports-index": index,
        "ports-map": outputs[0],
        "ports-rows": outputs[1],
    }
    picture = (np.arange(20).reshape(4, 5) * 12 / np.float32(255)).astype("f4")
    arrays["segmenter-mask"] = run(networks["segmenter"], x=picture[None, None])[0]
    networks["unsupported"] = unsupported()
    networks["negative"] = onnx.ModelProto.FromString(networks["classifier"].SerializeToString())
    for tensor in networks["negative"].graph.initializer:
        if tensor.name == "bn1.variance":
            tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))
    return (
        {f"{name}.onnx": network.SerializeToString() for name, network in networks.items()}
        | {f"{name}.npy": npy(array) for name, array in arrays.items()})


def main():
    made = files()
    if "--check" in sys.argv:
        different = [name for name, data in made.items() if (FOLDER / name).read_bytes() != data]
        print("\n".join(f"{name} differs" for name in different), end="\n" if different else "")
        sys.exit(1 if different else 0)
    FOLDER.mkdir(exist_ok=True)
    for name, data in made.items():
        (FOLDER / name).write_bytes(data)


main()
