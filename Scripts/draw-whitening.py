#!/usr/bin/env python3
"""Draws the pictures of the articles on whitening; needs matplotlib.

    KEEL_PICTURES=FOLDER swift test -c release --filter WhiteningPictures
    Scripts/draw-whitening.py FOLDER
"""

import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

RESOURCES = pathlib.Path(__file__).resolve().parent.parent / "Sources" / "Keel" / "Keel.docc" / "Resources"


def load(folder, name):
    images = np.loadtxt(folder / f"{name}.csv", delimiter=",", ndmin=2)
    side = int(round(images.shape[1] ** 0.5))
    return images.reshape(-1, side, side)


def sheet(images, columns, each=None):
    """Images side by side, scaled by a share of each one's largest size, or all by the 99th percentile."""
    side = images.shape[1]
    rows = -(-len(images) // columns)
    canvas = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1), np.nan)
    sizes = np.abs(images)
    scale = each * sizes.max(axis=(1, 2)) if each else np.full(len(images), np.percentile(sizes, 99))
    for i, image in enumerate(images):
        top, left = i // columns * (side + 1), i % columns * (side + 1)
        canvas[top : top + side, left : left + side] = image / scale[i]
    return canvas


def draw(axes, canvas, title, positive=False):
    colours = plt.get_cmap("gray").copy()
    colours.set_bad("white")
    axes.imshow(canvas, cmap=colours, vmin=0 if positive else -1, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=9, loc="left")
    axes.axis("off")


def save(figure, name):
    RESOURCES.mkdir(exist_ok=True)
    figure.savefig(RESOURCES / name, dpi=110, bbox_inches="tight", metadata={"Software": None})
    print(RESOURCES / name)


def digits(folder):
    figure, axes = plt.subplots(4, 1, figsize=(7, 3.6))
    titles = {"digits": "digits", "digits-pca": "PCA: components, largest variance first, row by row",
              "digits-zca": "ZCA", "digits-cholesky": "Cholesky"}
    for axis, (name, title) in zip(axes, titles.items()):
        draw(axis, sheet(load(folder, name), 10), title, name == "digits")
    save(figure, "whitening-digits.png")


def patches(folder):
    figure, axes = plt.subplots(2, 1, figsize=(7, 2.2))
    draw(axes[0], sheet(load(folder, "patches"), 20), "patches of photographs", True)
    draw(axes[1], sheet(load(folder, "patches-zca"), 20), "ZCA")
    save(figure, "whitening-patches.png")


def filters(folder):
    figure, axes = plt.subplots(1, 3, figsize=(8, 3.2))
    pixels = [row * 12 + column for row in (2, 5, 8, 11) for column in (1, 4, 7, 10)]
    titles = {"pca": "PCA: the first 16 rows of W", "zca": "ZCA: rows of 16 pixels",
              "cholesky": "Cholesky: the same pixels"}
    for axis, method in zip(axes, titles):
        chosen = list(range(16)) if method == "pca" else pixels
        share = 1 if method == "pca" else 0.4
        draw(axis, sheet(load(folder, f"filters-{method}")[chosen], 4, share), titles[method])
    save(figure, "whitening-filters.png")


def gradients(folder):
    gaps, textbook, keel = np.loadtxt(folder / "gradients.csv", delimiter=",", unpack=True)
    # A gap of 0 stands at the left end, and NaN above all errors.
    places = np.where(gaps == 0, 1e-9, gaps)
    failed = np.isnan(textbook) | (textbook > 1e3)
    figure, axes = plt.subplots(figsize=(6.5, 3.6))
    axes.loglog(places[~failed], textbook[~failed], "o-", color="tab:red", label="textbook, 1/(λj − λi), in Float")
    axes.loglog(places[failed], np.full(failed.sum(), 1e3), "x", color="tab:red", label="above 1000, or NaN")
    axes.loglog(places, keel, "s-", color="tab:blue", label="closed form, as Keel computes it")
    axes.axhline(1, color="0.7", linewidth=0.8)
    axes.set_xticks([10.0**-k for k in range(10)], [f"$10^{{{-k}}}$" if k < 9 else "0" for k in range(10)])
    axes.set_xlabel("gap between neighbouring eigenvalues")
    axes.set_ylabel("relative error of dΣ")
    axes.legend(fontsize=8)
    save(figure, "whitening-gradient.png")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for picture in (digits, patches, filters, gradients):
        picture(pathlib.Path(sys.argv[1]))
