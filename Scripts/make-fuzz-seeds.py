#!/usr/bin/env python3
"""Makes Tests/KeelFuzz/Seeds: small files of every format that Keel reads, from which `make fuzz` starts.

The ONNX files together have every operator that Keel reads. Needs numpy and onnx:

    python Scripts/make-fuzz-seeds.py            # writes the files
    python Scripts/make-fuzz-seeds.py --check    # exits with 1 where one differs
"""

import gzip
import io
import json
import pathlib
import struct
import sys
import zlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "Tests" / "KeelFuzz" / "Seeds"
random = np.random.RandomState(7)


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def npz(save, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def safetensors(tensors, **metadata):
    kinds = {"f4": "F32", "f2": "F16", "f8": "F64", "i8": "I64", "i4": "I32", "u1": "U8", "b1": "BOOL"}
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, array in tensors.items():
        end = len(data) + array.nbytes
        header[name] = {
            "dtype": kinds[array.dtype.str[1:]], "shape": array.shape, "data_offsets": [len(data), end]}
        data += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def png(width, height, depth, colour, rows, *chunks, interlaced=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def network(nodes, inputs, outputs, version=17, **constants):
    """A model whose constants are arrays; outputs are of unknown shape, as many exporters leave them."""
    initializers = [
        numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    kinds = {np.float32: TensorProto.FLOAT, np.int64: TensorProto.INT64}
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(name, kinds[kind], shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        initializers)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8).SerializeToString()


def f(*shape):
    return random.standard_normal(shape).astype("f4")


def chain(x, *operators):
    """Nodes one after the other: an operator's name, further operands, attributes."""
    nodes = []
    for position, (name, operands, attributes) in enumerate(operators):
        y = f"{x}{position}" if position + 1 < len(operators) else f"{x}_out"
        before = f"{x}{position - 1}" if position else x
        nodes.append(helper.make_node(name, [before, *operands], [y], **attributes))
    return nodes


def op(name, *operands, **attributes):
    return name, list(operands), attributes


def onnx_files():
    image = [("x", np.float32, ["N", 4, 6, 6])]
    norm = {name: np.abs(f(4)) + np.float32(0.5) for name in ["s", "t", "m", "v"]}
    yield "convolutions", network(
        chain(
            "x", op("Conv", "w", pads=[1] * 4), op("BatchNormalization", "s", "t", "m", "v"), op("Relu"),
            op("Conv", "depthwise", "t", group=4, auto_pad="SAME_UPPER", strides=[2, 2]),
            op("ConvTranspose", "up", strides=[2, 2], output_padding=[1, 1]),
            op("MaxPool", kernel_shape=[3, 3], pads=[1] * 4, ceil_mode=1, strides=[2, 2]),
            op("AveragePool", kernel_shape=[2, 2], count_include_pad=1),
            op("LpPool", kernel_shape=[2, 2]), op("GlobalAveragePool"), op("Flatten"),
            op("Gemm", "fc", "fcb", alpha=0.5, transB=1), op("Softmax", axis=-1)),
        image, ["x_out"], w=f(4, 4, 3, 3), depthwise=f(4, 1, 3, 3), up=f(4, 4, 2, 2), fc=f(3, 4),
        fcb=f(3), **norm)
    yield "norms", network(
        chain(
            "x", op("InstanceNormalization", "s", "t"), op("LRN", size=3), op("LpNormalization", axis=1),
            op("MeanVarianceNormalization", axes=[0, 2, 3]), op("GlobalMaxPool"),
            op("LogSoftmax", axis=1))
        + chain(
            "y", op("LayerNormalization", "ls", "lt", axis=-1), op("MatMul", "mm"), op("GlobalLpPool", p=2)),
        [("x", np.float32, [1, 4, 6, 6]), ("y", np.float32, ["N", 2, 5])], ["x_out", "y_out"],
        ls=f(5), lt=f(5), mm=f(5, 3), **norm)
    yield "groups", network(
        chain("x", op("GroupNormalization", "s", "t", num_groups=2), op("Gelu", approximate="tanh")), image,
        ["x_out"], 21, **norm)
    yield "activations", network(
        chain(
            "x", op("Sigmoid"), op("Tanh"), op("Softplus"), op("HardSwish"), op("LeakyRelu", alpha=0.1),
            op("Elu", alpha=0.5), op("Celu"), op("Selu"), op("HardSigmoid"), op("Clip", "low", "high"),
            op("PRelu", "slope"), op("Mish"), op("Softsign"), op("Abs"), op("Neg"), op("Exp"), op("Log"),
            op("Sqrt"), op("Reciprocal"), op("Sign"), op("Erf"), op("Identity"), op("Dropout")),
        image, ["x_out"], 18, low=np.float32(0), high=np.float32(6), slope=f(4, 1, 1))
    yield "arithmetic", network(
        chain(
            "x", op("Add", "a"), op("Sub", "a"), op("Mul", "a"), op("Div", "a"), op("Pow", "two"),
            op("Sum", "a", "x"), op("Max", "a"), op("Min", "a"), op("Mean", "x"))
        + [
            helper.make_node("Equal", ["a", "two"], ["equal"]), helper.make_node("Not", ["equal"], ["not"]),
            helper.make_node("Greater", ["a", "two"], ["greater"]),
            helper.make_node("Less", ["a", "two"], ["less"]),
            helper.make_node("Where", ["greater", "a", "two"], ["where"]),
            helper.make_node("Floor", ["where"], ["floor"]), helper.make_node("Ceil", ["floor"], ["ceil"]),
            helper.make_node("Cast", ["not"], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["ceil", "cast"], ["factor"]),
            helper.make_node("Mul", ["x_out", "factor"], ["y"]),
        ],
        image, ["y"], a=f(1, 4, 1, 1), two=np.float32(2))
    reductions = [
        "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
        "ReduceLogSum", "ReduceLogSumExp",
    ]
    yield "reductions", network(
        [
            helper.make_node(name, ["x", "axes"], [name], keepdims=position % 2)
            for position, name in enumerate(reductions)
        ],
        [("x", np.float32, [2, 4, 6, 6])], reductions, 18, axes=np.array([2, -1]))
    yield "movements", network(
        chain(
            "x", op("Reshape", "shape"), op("Transpose", perm=[0, 2, 1, 3]), op("Squeeze"),
            op("Unsqueeze", "one"), op("Slice", "starts", "ends", "axes", "steps"),
            op("Pad", "pads", mode="reflect"), op("Concat", "z", axis=0), op("Gather", "picks", axis=2),
            op("Expand", "wide"), op("Tile", "times"))
        + chain("z", op("Resize", "", "", "sizes", mode="linear"), op("SpaceToDepth", blocksize=2),
                op("DepthToSpace", blocksize=2), op("Resize", "", "scales", mode="nearest"))
        + [helper.make_node("Split", ["x"], ["p", "q"], axis=1)],
        [("x", np.float32, [1, 4, 6, 6]), ("z", np.float32, [1, 2, 3, 8])], ["x_out", "z_out", "p", "q"],
        shape=np.array([0, -1, 2, 18]), one=np.array([0]), starts=np.array([0, -16]),
        ends=np.array([2, 1 << 40]), axes=np.array([2, 3]), steps=np.array([1, 2]),
        pads=np.array([0, 0, 0, 0, 0, 0, 1, 0]), picks=np.array([0, 2, -1]),
        wide=np.array([3, 2, 2, 3, 8]), times=np.array([1, 1, 2, 1, 1]), sizes=np.array([1, 2, 6, 8]),
        scales=np.array([1, 1, 2, 2], "f4"))
    yield "shapes", network(
        [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Gather", ["shape", "zero"], ["n"]),
            helper.make_node("Unsqueeze", ["n", "zero1"], ["n1"]),
            helper.make_node("Size", ["w"], ["size"]),
            helper.make_node("Constant", [], ["rest"], value_ints=[-1]),
            helper.make_node("Concat", ["n1", "rest"], ["target"], axis=0),
            helper.make_node("Reshape", ["x", "target"], ["flat"]),
            helper.make_node("ConstantOfShape", ["two"], ["ones"],
                             value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1])),
            helper.make_node("Range", ["zero", "three", "step"], ["range"]),
            helper.make_node("Cast", ["range"], ["floats"], to=1),
            helper.make_node("MatMul", ["w", "ones"], ["product"]),
            helper.make_node("Add", ["product", "floats"], ["sum"]),
            helper.make_node("MatMul", ["flat", "sum"], ["y"]),
            helper.make_node("Gather", ["w", "rows"], ["z"]),
            helper.make_node("ReduceProd", ["two"], ["elements"], keepdims=1),
        ],
        [("x", np.float32, ["N", 2, 2]), ("rows", np.int64, ["M"])], ["y", "z"],
        zero=np.array(0), zero1=np.array([0]), three=np.array(3), step=np.array(1), two=np.array([2, 3]),
        w=f(4, 2))
    tensors = [
        helper.make_tensor("half", TensorProto.FLOAT16, [2], [1, 2]),
        helper.make_tensor("brain", TensorProto.BFLOAT16, [2], [1, 2]),
        helper.make_tensor("double", TensorProto.DOUBLE, [2], [1, 2]),
        helper.make_tensor("byte", TensorProto.UINT8, [2], [1, 2]),
        helper.make_tensor("short", TensorProto.INT16, [2], b"\1\0\2\0", raw=True),
        helper.make_tensor("long", TensorProto.UINT64, [2], [1, 2]),
        helper.make_tensor("truth", TensorProto.BOOL, [2], [True, False]),
    ]
    nodes = [helper.make_node("Cast", [t.name], [f"{t.name}1"], to=1) for t in tensors]
    nodes += [helper.make_node("Sum", ["x"] + [f"{t.name}1" for t in tensors], ["y"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], tensors)
    yield "elements", helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    yield "old", network(
        chain(
            "x", op("Upsample", "scales"), op("Pad", mode="constant", pads=[0, 0, 1, 1, 0, 0, 1, 1], value=2.0),
            op("Slice", axes=[2], starts=[1], ends=[5])),
        image, ["x_out"], 9, scales=np.array([1, 1, 2, 2], "f4"))


def files():
    grid = np.arange(24).reshape(2, 3, 4)
    made = {
        "npy/float32.npy": npy(grid.astype("f4")),
        "npy/fortran.npy": npy(np.asfortranarray(grid.astype(">i2"))),
        "npy/double2.npy": npy(grid[0].astype("f8"), (2, 0)),
        "npy/half3.npy": npy(grid[0].astype("f2"), (3, 0)),
        "npy/bytes.npy": npy(grid.astype("i1")),
        "npy/truth.npy": npy(np.bool_(True)),
        "npz/stored.npz": npz(np.savez, a=grid.astype("f4"), b=np.arange(3)),
        "npz/packed.npz": npz(np.savez_compressed, a=np.zeros((8, 8), "f4"), long_name=grid),
        "safetensors/floats.safetensors": safetensors(
            {"a.weight": f(2, 3), "b": f(4).astype("f2"), "c": f(1).astype("f8")}, format="pt"),
        "safetensors/integers.safetensors": safetensors(
            {"a": np.arange(3), "b": np.arange(4, dtype="u1"), "c": np.array([True, False]),
             "d": np.zeros((0, 3), "i4")}),
        "png/grey.png": png(4, 3, 8, 0, [0, 1, 2, 3, 4, 1, 9, 9, 9, 9, 2, 1, 1, 1, 1]),
        "png/colour.png": png(2, 2, 8, 2, [0] + list(range(6)) + [4] + list(range(6))),
        "png/deep.png": png(2, 2, 16, 6, [0] + list(range(16)) + [3] + list(range(16))),
        "png/palette.png": png(
            9, 2, 1, 3, [0, 0xAA, 0x80, 0, 0x55, 0], (b"PLTE", bytes(range(6))), (b"tRNS", b"\x80")),
        "png/interlaced.png": png(3, 3, 8, 0, [0, 1, 0, 3, 0, 4, 5, 0, 6, 0, 2, 0, 1, 2, 3],
                                  (b"gAMA", b"\0\1\x86\xa0"), interlaced=1),
        "idx/images.idx3": idx(np.arange(12, dtype="u1").reshape(2, 3, 2)),
        "idx/labels.idx1": idx(np.array([7, 9], "u1")),
        "cifar/one.bin": bytes([3]) + bytes(range(256)) * 12,
    }
    for name in ["images.idx3", "labels.idx1"]:
        made[f"idx/{name}.gz"] = gzip.compress(made[f"idx/{name}"], 9, mtime=0)
    for name, model in onnx_files():
        made[f"onnx/{name}.onnx"] = model
    return made


def main():
    made = files()
    if "--check" in sys.argv:
        different = [
            name for name, data in made.items()
            # The time in zip entries differs.
            if not name.startswith("npz/") and (FOLDER / name).read_bytes() != data]
        print("\n".join(f"{name} differs" for name in different), end="\n" if different else "")
        sys.exit(1 if different else 0)
    for name, data in made.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


main()
