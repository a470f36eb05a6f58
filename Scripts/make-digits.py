#!/usr/bin/env python3
"""Writes Sources/CKeelDigits/digits.c from Data/digits.csv.

    Scripts/make-digits.py           writes the file
    Scripts/make-digits.py --check   exits with 1 where the file is not what would be written
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "Data" / "digits.csv"
TARGET = ROOT / "Sources" / "CKeelDigits" / "digits.c"
COUNT, PIXELS, BRIGHTEST = 1797, 64, 16

HEAD = f"""\
/* Made by Scripts/make-digits.py from Data/digits.csv; do not edit.

   {COUNT} handwritten digits, one per line: 8x8 pixels of 0 to {BRIGHTEST}, row by row, then the label.
   Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning
   Repository, CC BY 4.0. */
#include "CKeelDigits.h"

const unsigned char keel_digits[KEEL_DIGITS_COUNT * KEEL_DIGITS_STRIDE] = {{
"""


def main():
    rows = [[int(value) for value in line.split(",")] for line in SOURCE.read_text().splitlines()]
    if len(rows) != COUNT:
        sys.exit(f"{SOURCE.name}: expected {COUNT} lines, found {len(rows)}")
    for number, row in enumerate(rows, 1):
        pixels_fit = all(0 <= value <= BRIGHTEST for value in row[:PIXELS])
        if len(row) != PIXELS + 1 or not pixels_fit or not 0 <= row[PIXELS] <= 9:
            sys.exit(f"{SOURCE.name}, line {number}: expected {PIXELS} pixels of 0 to {BRIGHTEST}"
                     " and a label of 0 to 9")
    text = HEAD + "".join(",".join(map(str, row)) + ",\n" for row in rows) + "};\n"
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
    elif not TARGET.exists() or TARGET.read_text() != text:
        sys.exit(f"{TARGET.name} is not what {SOURCE.name} gives: run Scripts/make-digits.py")


if __name__ == "__main__":
    main()
