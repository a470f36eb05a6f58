"""The convolutions that are compared, each once, and the operands of their three passes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy

PASSES = ("forward", "input_gradient", "weight_gradient")

Array = numpy.ndarray


@dataclass(frozen=True)
class Shape:
    """A square convolution on square images, padded so that stride 1 keeps the size; or a transposed
    one, padded so that its stride multiplies the size."""

    kernel: int
    inputs: int
    outputs: int
    size: int
    stride: int = 1
    groups: int = 1
    batch: int = 1
    transposed: bool = False

    @property
    def padding(self) -> int:
        return (self.kernel - 1) // 2 if self.transposed else self.kernel // 2

    @property
    def output_padding(self) -> int:
        return self.stride + 2 * self.padding - self.kernel if self.transposed else 0

    @property
    def output_size(self) -> int:
        if self.transposed:
            return self.stride * self.size
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """N×H×W×Cin."""
        return (self.batch, self.size, self.size, self.inputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """N×H′×W′×Cout."""
        return (self.batch, self.output_size, self.output_size, self.outputs)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Cout×kH×kW×(Cin/G), of a transposed one Cin×kH×kW×(Cout/G)."""
        if self.transposed:
            return (self.inputs, self.kernel, self.kernel, self.outputs // self.groups)
        return (self.outputs, self.kernel, self.kernel, self.inputs // self.groups)

    @property
    def operations(self) -> int:
        """Operations of the direct method, the same for every pass; a multiply-add is two."""
        depth = self.kernel**2 * self.inputs // self.groups
        size = self.size if self.transposed else self.output_size
        return 2 * self.batch * size**2 * self.outputs * depth

    def reduction(self, which: str) -> int:
        """The length of the sum behind one element of a pass's result."""
        if which == "forward":
            return self.kernel**2 * self.inputs // self.groups
        if which == "input_gradient":
            return self.kernel**2 * self.outputs // self.groups
        size = self.size if self.transposed else self.output_size
        return self.batch * size**2

    @property
    def figures(self) -> dict[str, int]:
        """The size, for JSON."""
        return {"operations": self.operations}

    def results(self, which: str) -> dict[str, tuple[tuple[int, ...], int]]:
        """The result of a pass: its shape, and the length of the sum behind an element."""
        return {"result": (self.result_shape(which), self.reduction(which))}

    def result_shape(self, which: str) -> tuple[int, ...]:
        return {
            "forward": self.output_shape,
            "input_gradient": self.input_shape,
            "weight_gradient": self.weight_shape,
        }[which]

    def text(self) -> str:
        stride = f"/{self.stride}" if self.stride != 1 else ""
        kind = ""
        if self.groups != 1:
            kind = " depthwise" if self.groups == self.inputs else f" groups {self.groups}"
        if self.transposed:
            kind += " transposed"
        return (
            f"b{self.batch} {self.kernel}x{self.kernel}{stride} {self.inputs}-{self.outputs}{kind}"
            f" @{self.size}x{self.size}"
        )


@dataclass(frozen=True)
class Line:
    """A shape of a network: what `--lines` matches, such as `ResNet-18 b8 3x3/2 64-128 @56x56`."""

    network: str
    shape: Shape

    @property
    def name(self) -> str:
        return f"{self.network} {self.shape.text()}"


def operands(shape: Shape) -> dict[str, Array]:
    """Draws x, weight and dy in Keel's layout; the same shape gets the same numbers in every run."""
    random = numpy.random.default_rng(20_250_731)

    def draw(extents: tuple[int, ...]) -> Array:
        return random.random(extents, dtype=numpy.float32) * 2 - 1

    return {
        "x": draw(shape.input_shape),
        "weight": draw(shape.weight_shape),
        "dy": draw(shape.output_shape),
    }


def _inverted(inputs: int, hidden: int, outputs: int, size: int, stride: int = 1) -> list[Shape]:
    """Expansion, depthwise convolution, projection of MobileNetV2."""
    expansion = [] if hidden == inputs else [Shape(1, inputs, hidden, size)]
    return expansion + [
        Shape(3, hidden, hidden, size, stride, hidden),
        Shape(1, hidden, outputs, size // stride),
    ]


def _bottleneck(inputs: int, inner: int, size: int, stride: int = 1) -> list[Shape]:
    """A first block of ResNet-50's stages, stride in the 3×3, and the 1×1 into a later block."""
    small = size // stride
    return [
        Shape(1, inputs, inner, size),
        Shape(3, inner, inner, size, stride),
        Shape(1, inner, 4 * inner, small),
        Shape(1, inputs, 4 * inner, size, stride),
        Shape(1, 4 * inner, inner, small),
    ]


# He et al. 2016, 224×224 images.
_RESNET18 = [
    Shape(7, 3, 64, 224, 2), Shape(3, 64, 64, 56), Shape(3, 64, 128, 56, 2),
    Shape(1, 64, 128, 56, 2), Shape(3, 128, 128, 28), Shape(3, 128, 256, 28, 2),
    Shape(1, 128, 256, 28, 2), Shape(3, 256, 256, 14), Shape(3, 256, 512, 14, 2),
    Shape(1, 256, 512, 14, 2), Shape(3, 512, 512, 7),
]  # fmt: skip
_RESNET50 = (
    _bottleneck(64, 64, 56) + _bottleneck(256, 128, 56, 2)
    + _bottleneck(512, 256, 28, 2) + _bottleneck(1024, 512, 14, 2)
)  # fmt: skip
# Simonyan and Zisserman 2015, configuration A, 224×224 images.
_VGG11 = [
    Shape(3, 3, 64, 224), Shape(3, 64, 128, 112), Shape(3, 128, 256, 56), Shape(3, 256, 256, 56),
    Shape(3, 256, 512, 28), Shape(3, 512, 512, 28), Shape(3, 512, 512, 14),
]  # fmt: skip
# Sandler et al. 2018, width 1, 224×224 images.
_MOBILENETV2 = (
    [Shape(3, 3, 32, 224, 2)]
    + _inverted(32, 32, 16, 112) + _inverted(16, 96, 24, 112, 2) + _inverted(24, 144, 24, 56)
    + _inverted(24, 144, 32, 56, 2) + _inverted(32, 192, 32, 28) + _inverted(32, 192, 64, 28, 2)
    + _inverted(64, 384, 64, 14) + _inverted(64, 384, 96, 14) + _inverted(96, 576, 96, 14)
    + _inverted(96, 576, 160, 14, 2) + _inverted(160, 960, 160, 7) + _inverted(160, 960, 320, 7)
    + [Shape(1, 320, 1280, 7)]
)  # fmt: skip
# Ronneberger et al. 2015 with padded convolutions, 128×128 images of three channels.
_UNET = [
    Shape(3, 3, 64, 128), Shape(3, 64, 64, 128), Shape(3, 64, 128, 64), Shape(3, 128, 128, 64),
    Shape(3, 128, 256, 32), Shape(3, 256, 256, 32), Shape(3, 256, 512, 16),
    Shape(3, 512, 512, 16), Shape(3, 512, 1024, 8), Shape(3, 1024, 1024, 8),
    Shape(3, 1024, 512, 16), Shape(3, 512, 256, 32), Shape(3, 256, 128, 64),
    Shape(3, 128, 64, 128), Shape(1, 64, 2, 128),
]  # fmt: skip
# Huang et al. 2017, 224×224 images: of each dense block the first and the last layer's 1×1, its 3×3,
# and the transition after it.
_DENSENET121 = [
    Shape(1, 64, 128, 56), Shape(1, 224, 128, 56), Shape(3, 128, 32, 56), Shape(1, 256, 128, 56),
    Shape(1, 128, 128, 28), Shape(1, 480, 128, 28), Shape(3, 128, 32, 28), Shape(1, 512, 256, 28),
    Shape(1, 256, 128, 14), Shape(1, 992, 128, 14), Shape(3, 128, 32, 14), Shape(1, 1024, 512, 14),
    Shape(1, 512, 128, 7), Shape(1, 992, 128, 7), Shape(3, 128, 32, 7),
]  # fmt: skip

# The up path of the U-Net above: its 2×2 transposed convolutions.
_UNET_UP = [Shape(2, channels, channels // 2, size, 2, transposed=True) for channels, size in
            ((1024, 8), (512, 16), (256, 32), (128, 64))]  # fmt: skip
# Radford et al. 2016, the generator of 64×64 images after its first layer.
_DCGAN = [Shape(4, inputs, outputs, size, 2, transposed=True) for inputs, outputs, size in
          ((512, 256, 4), (256, 128, 8), (128, 64, 16), (64, 3, 32))]  # fmt: skip
# Johnson et al. 2016, the two upsampling layers of the style network for 256×256 images.
_STYLE = [Shape(3, 128, 64, 64, 2, transposed=True), Shape(3, 64, 32, 128, 2, transposed=True)]

_NETWORKS: list[tuple[str, tuple[int, ...], list[Shape]]] = [
    ("ResNet-18", (1, 8), _RESNET18),
    ("VGG-11", (1,), _VGG11),
    ("MobileNetV2", (1, 8), _MOBILENETV2),
    ("U-Net", (1,), _UNET),
    ("ResNet-50", (1,), _RESNET50),
    ("DenseNet-121", (1,), _DENSENET121),
    ("U-Net", (1, 8), _UNET_UP),
    ("DCGAN", (1, 16), _DCGAN),
    ("Style", (1,), _STYLE),
]


def convolution_lines() -> list[Line]:
    """All lines, without shapes that the same or another network had before."""
    seen: set[Shape] = set()
    lines: list[Line] = []
    for network, batches, shapes in _NETWORKS:
        for batch in batches:
            for shape in shapes:
                shape = replace(shape, batch=batch)
                if shape not in seen:
                    seen.add(shape)
                    lines.append(Line(network, shape))
    return lines
