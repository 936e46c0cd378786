"""Makes fixtures/every_f32.txt: the exact values at the worst inputs of `docs/accuracy.md`, in 80 digits.

    python tests/interop/every_f32.py > tests/fixtures/every_f32.txt

A line holds the name of a function, an input that is exact in single precision, and the value there, rounded to the
nearest double.
"""
import pathlib

from mpmath import mpf

from sweep import UNARY, single

page = (pathlib.Path(__file__).parents[2] / "docs/accuracy.md").read_text()
section = page.split("## Every number of single precision")[1].split("\n## ")[0]
for line in section.splitlines():
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    name = cells[0].split(" ")[0]
    if name not in UNARY:
        continue
    for at in (cells[2], cells[4]):
        if at:
            x = single(float(at))
            print(name, repr(x), repr(float(UNARY[name][0](mpf(x)))))
