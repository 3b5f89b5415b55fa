"""Builds a wheel from a source distribution, as PEP 517 describes it.

    source.py requires ARCHIVE FOLDER   unpacks, and prints what the build needs
    source.py build FOLDER OUT          builds; prints what is missing, if anything

It runs in a sandbox without network. What the build needs is on PYTHONPATH.
"""
import importlib
import json
import os
import sys
import tarfile
import zipfile

MARK = "needs for its build: "


def toml():
    try:
        import tomllib
    except ImportError:  # before Python 3.11
        from pip._vendor import tomli as tomllib
    return tomllib


def settings(folder):
    path = os.path.join(folder, "pyproject.toml")
    if not os.path.isfile(path):
        return {}
    with open(path, "rb") as f:
        return toml().load(f).get("build-system", {})


def unpack(archive, folder):
    os.mkdir(folder)
    if archive.endswith(".zip"):
        with zipfile.ZipFile(archive) as z:
            z.extractall(folder)
    else:
        with tarfile.open(archive) as t:
            t.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (top,) = os.listdir(folder)
    return os.path.join(folder, top)


def need(requirements):
    print(MARK + json.dumps(list(requirements)), flush=True)


def build(folder, out):
    (top,) = os.listdir(folder)
    os.chdir(os.path.join(folder, top))
    system = settings(".")
    sys.path[:0] = [os.path.abspath(p) for p in system.get("backend-path", [])]
    module, _, attributes = system.get("build-backend", "setuptools.build_meta:__legacy__").partition(":")
    backend = importlib.import_module(module)
    for name in attributes.split(".") if attributes else []:
        backend = getattr(backend, name)
    more = getattr(backend, "get_requires_for_build_wheel", lambda settings: [])({})
    need(more)
    os.makedirs(out, exist_ok=True)
    backend.build_wheel(out, {})


if __name__ == "__main__":
    if sys.argv[1] == "requires":
        need(settings(unpack(*sys.argv[2:])).get("requires", ["setuptools>=40.8.0", "wheel"]))
    else:
        build(*sys.argv[2:])
