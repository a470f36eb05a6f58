#!/usr/bin/env python3
"""Writes Tests/Figures/patches.bin from two photographs; needs Pillow.

    Scripts/make-patches.py china.png flower.png

The file holds the grey patches of 12x12 pixels, side by side without overlap, of each photograph: rows of
patches from the top, each patch row by row, one byte per pixel.

Photographs: 320x213, reduced from originals by danielbuechele (china) and vultilion (flower) on Flickr,
Creative Commons Attribution 2.0 Generic (CC BY 2.0).
"""

import pathlib
import sys

from PIL import Image

TARGET = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "Figures" / "patches.bin"
SIDE = 12


def patches(path):
    image = Image.open(path).convert("L")
    for top in range(0, image.height - SIDE + 1, SIDE):
        for left in range(0, image.width - SIDE + 1, SIDE):
            yield image.crop((left, top, left + SIDE, top + SIDE)).tobytes()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data = b"".join(patch for path in sys.argv[1:] for patch in patches(path))
    TARGET.write_bytes(data)
    print(f"{len(data) // SIDE**2} patches, {len(data)} bytes")


if __name__ == "__main__":
    main()
