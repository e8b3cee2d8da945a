"""Checks that #include lines follow the layer order of the design.

A file includes its own folder and lower ranks only; folders of one rank do not see each other.
include/postback is the lowest: it includes nothing but itself and the C++ standard library. Project
headers are spelled from src/ or include/, in quotes.
"""

import pathlib
import re
import sys

# Lowest first. The folders of one rank are siblings.
RANKS = (
    ("postback",),
    ("base",),
    ("io", "http", "conversion"),
    ("store", "journal", "partner"),
    ("ingest",),
    ("retention",),
    ("server",),
)
RANK = {folder: rank for rank, folders in enumerate(RANKS) for folder in folders}
# Files directly in src/ (main.cc) may include everything.
TOP = len(RANKS)

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
# A standard header has no suffix and no folder: <vector>, <cstdint>.
STANDARD = re.compile(r"^[a-z_0-9]+$")


def folder_of(path):
    return path.parts[0] if len(path.parts) > 1 else None


def check_include(spelled, quoted, folder, roots):
    """What is wrong with one include of a file in `folder` (None: directly in src/), or None."""
    target = pathlib.PurePosixPath(spelled)
    target_folder = folder_of(target)
    if not quoted:
        if target_folder in RANK and any((root / target).exists() for root in roots):
            return f"<{spelled}> is ours: write it in quotes"
        if folder == "postback" and not STANDARD.match(spelled):
            return f"include/postback may use the standard library only, not <{spelled}>"
        return None
    if target_folder not in RANK:
        return f'"{spelled}" is not spelled from src/ or include/'
    if not any((root / target).exists() for root in roots):
        return f'"{spelled}" does not exist'
    rank = RANK[folder] if folder else TOP
    if target_folder != folder and RANK[target_folder] >= rank:
        return f'{folder} must not include "{spelled}": it is not below'
    return None


def violations(repository):
    """Every violation under src and include, as `file:line: what is wrong`."""
    repository = pathlib.Path(repository)
    roots = (repository / "src", repository / "include")
    found = []
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.suffix not in (".h", ".cc", ".c"):
                continue
            relative = path.relative_to(root)
            folder = folder_of(relative)
            where = path.relative_to(repository)
            if folder is not None and folder not in RANK:
                found.append(f"{where}: folder {folder} has no rank; add it to RANKS")
                continue
            text = path.read_text(encoding="utf-8")
            for match in INCLUDE.finditer(text):
                quoted = match.group(1) is not None
                fault = check_include(match.group(1) or match.group(2), quoted, folder, roots)
                if fault:
                    line = text.count("\n", 0, match.start(1 if quoted else 2)) + 1
                    found.append(f"{where}:{line}: {fault}")
    return found


if __name__ == "__main__":
    faults = violations(sys.argv[1] if len(sys.argv) > 1 else ".")
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
