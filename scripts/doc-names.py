#!/usr/bin/env python3
"""Do the tests exist that the documentation names? Prints each name that no test bears; `…` and `*` stand for anything."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEST = re.compile(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", re.M)
NAME = re.compile(r"`(?:\w+/)?([A-Z]\w*\.(?:[A-Z*][\w*…]*|\*))(?:/\w+)?`")

tests = {".".join(found) for file in (ROOT / "tests").rglob("*.cc") for found in TEST.findall(file.read_text("utf-8"))}
wrong = []
for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "e2e").glob("*.md")]:
    for number, line in enumerate(document.read_text("utf-8").splitlines(), 1):
        for name in NAME.findall(line):
            pattern = re.compile(re.sub("…|\\\\\\*", ".*", re.escape(name)))
            if not any(pattern.fullmatch(test) for test in tests):
                wrong.append(f"{document.relative_to(ROOT)}:{number}: no test is called {name}")
print("\n".join(wrong), end="\n" if wrong else "")
sys.exit(bool(wrong))
