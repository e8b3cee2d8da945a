"""Checks that each header under include and src compiles alone.

headers.py REPOSITORY [BUILD]: the include paths of libraries come from the build folder's
compile_commands.json where there is one.
"""

import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]


def library_flags(build):
    """The include paths of libraries and the defines that the build gives to C++ files."""
    path = pathlib.Path(build or "build") / "compile_commands.json"
    if not path.exists():
        return []
    flags = {}
    for entry in json.loads(path.read_text()):
        words = shlex.split(entry["command"]) if entry["file"].endswith(".cc") else []
        for word, following in zip(words, [*words[1:], ""]):
            if word.startswith(("-I", "-isystem")):
                folder = word.removeprefix("-isystem").removeprefix("-I") or following
                # Our own folders are not wanted: includes are spelled from the root.
                if os.path.isabs(folder) and not folder.startswith(str(REPOSITORY)):
                    flags["-I" + folder] = None
            elif word.startswith("-DPOSTBACK_") or word == "-pthread":
                flags[word] = None
    flags.pop("-I/usr/include", None)
    return list(flags)


def compile_alone(repository, header, flags):
    """The compiler's complaint about a file that includes nothing but this header, or None."""
    # Twice: a header may be included twice. First: it must not lean on what came before it.
    command = ["g++", *FLAGS, f"-I{repository / 'include'}", f"-I{repository / 'src'}", *flags,
               "-include", str(header), "-include", str(header), "-x", "c++", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{header}:\n{done.stderr}" if done.returncode != 0 else None


def violations(repository, build=None):
    repository = pathlib.Path(repository).resolve()
    headers = sorted([*(repository / "include").rglob("*.h"), *(repository / "src").rglob("*.h")])
    flags = library_flags(build)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = pool.map(lambda header: compile_alone(repository, header, flags), headers)
        return [fault for fault in faults if fault]


if __name__ == "__main__":
    found = violations(*sys.argv[1:])
    print("\n".join(found))
    sys.exit(1 if found else 0)
