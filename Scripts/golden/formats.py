#!/usr/bin/env python3
"""Files as NumPy, PyTorch and safetensors write them: makes Tests/Figures/formats.

`network.safetensors` and `network.npz` hold the state dict of the small network below, `run.npz` an image
and what the network makes of it in evaluation mode, channels first. `elements.npz` and `elements.safetensors`
hold 0, 1, 2, 3, 4, 5 as 2×3 in every element type, as well as arrays of other orders and ranks; the `.npy`
files are what Keel's writer is compared with. Needs torch, numpy and safetensors:

    python Scripts/golden/formats.py            # writes the files
    python Scripts/golden/formats.py --check    # exits with 1 where one differs
"""

import io
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "Tests" / "Figures" / "formats"


class Network(nn.Module):
    """Every layout that differs: convolutions with and without groups, a transposed one, a layer norm over
    an image, a linear layer and a norm behind a flattening."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, (3, 2), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.act = nn.PReLU(4)
        self.conv2 = nn.Conv2d(4, 6, 3, groups=2)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2)
        self.ln = nn.LayerNorm([4, 4, 6])
        self.bn2 = nn.BatchNorm1d(96)
        self.fc = nn.Linear(96, 5)

    def forward(self, x):
        x = self.act(self.bn1(self.conv1(x)))
        x = self.ln(self.up(self.conv2(x)))
        return self.fc(self.bn2(torch.flatten(x, 1)))


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(save, arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def files():
    torch.manual_seed(1)
    network = Network().eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.dtype == torch.float32:
                value.copy_(torch.randn(value.shape) * 0.5)
            if name.endswith("running_var"):
                value.abs_().add_(0.5)
        x = torch.randn(2, 2, 4, 4)
        y = network(x)
    state = network.state_dict()
    arrays = {name: value.numpy() for name, value in state.items()}
    six = np.arange(6).reshape(2, 3)
    elements = {
        code: six.astype(code)
        for code in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]
    }
    elements |= {f"big_{code}": six.astype(f">{code}") for code in ["f2", "f4", "f8", "i2", "i4", "u8"]}
    elements["fortran"] = np.asfortranarray(np.arange(24, dtype="f4").reshape(2, 3, 4))
    elements["big_fortran"] = np.asfortranarray(np.arange(24).reshape(2, 3, 4).astype(">i2"))
    elements["scalar"] = np.float32(2.5)
    elements["empty"] = np.zeros((2, 0, 3), "f4")
    halves = np.array([0x0000, 0x8000, 0x0001, 0x03FF, 0x0400, 0x7BFF, 0xFC00, 0x3555], "u2")
    elements["halves"] = halves.view("f2")
    torches = {
        str(kind).split(".")[1]: torch.arange(6).reshape(2, 3).to(kind)
        for kind in [
            torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.int16,
            torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool]
    }
    torches["scalar"] = torch.tensor(2.5)
    torches["empty"] = torch.zeros(2, 0, 3)
    return {
        "network.safetensors": safetensors.torch.save(state, {"format": "pt"}),
        "network.npz": npz(np.savez_compressed, arrays),
        "run.npz": npz(np.savez, {"x": x.numpy(), "y": y.numpy()}),
        "elements.npz": npz(np.savez, elements),
        "elements.safetensors": safetensors.torch.save(torches, {"text": "é \"quoted\" \\ \n"}),
        "float32.npy": npy(np.arange(6, dtype="f4").reshape(2, 3)),
        "int64.npy": npy(np.arange(5, dtype="i8")),
        "bool.npy": npy(np.bool_(True)),
    }


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
