"""Prints what other implementations find wrong with programs for macOS: the reader of LIEF and the verifier of rcodesign."""

import json
import sys

import apple_platform
import lief


def list_problems(path):
    is_laid_out, why = lief.MachO.check_layout(lief.MachO.parse(path).at(0))
    found = [] if is_laid_out else [why]
    return found + [problem["description"] for problem in apple_platform.verify_macho(path)]


print(json.dumps([list_problems(path) for path in sys.argv[1:]]))
