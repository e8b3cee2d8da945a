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

FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]


def library_flags(build):
    """The include paths and defines that the build gives to C++ files, each once."""
    path = pathlib.Path(build or "build") / "compile_commands.json"
    if not path.exists():
        return []
    flags = {}
    for entry in json.loads(path.read_text()):
        if not entry["file"].endswith(".cc"):
            continue
        words = shlex.split(entry["command"])
        for index, word in enumerate(words):
            if word == "-isystem":
                flags[("-isystem", absolute(words[index + 1], entry["directory"]))] = None
            elif word.startswith("-I"):
                flags[("-I" + absolute(word[2:], entry["directory"]),)] = None
            elif word.startswith("-DPOSTBACK_") or word == "-pthread":
                flags[(word,)] = None
    return [word for words in flags for word in words]


def absolute(path, directory):
    return os.path.normpath(os.path.join(directory, path))


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
