"""Writes bytecode beside the Python files that the list in argv[2] names, one a
line, relative to the folder argv[1]. It imports only modules that are in the
interpreter already: compileall takes longer to import than most packages to
compile. Prints a JSON object for each file that does not compile."""
import sys
import _imp
import marshal
from _frozen_importlib_external import MAGIC_NUMBER, _path_join, _path_split
from posix import mkdir

RAW_MAGIC = int.from_bytes(MAGIC_NUMBER, "little")
SUFFIX = "." + sys.implementation.cache_tag + ".pyc"


def bytecode(source, name):
    code = compile(source, "/opt/python/" + name, "exec", dont_inherit=True)
    # Flags 1: Python does not check the hash against the source.
    return MAGIC_NUMBER + b"\1\0\0\0" + _imp.source_hash(RAW_MAGIC, source) + marshal.dumps(code)


def write(root, name):
    folder, base = _path_split(name)
    cache = _path_join(root, folder, "__pycache__")
    with open(_path_join(root, name), "rb") as f:
        pyc = bytecode(f.read(), name)
    try:
        mkdir(cache, 0o755)
    except FileExistsError:
        pass
    with open(_path_join(cache, base[:-3] + SUFFIX), "wb") as f:
        f.write(pyc)


def tell(name, line, why):
    import json
    print(json.dumps({"file": name, "line": line, "why": why}))


with open(sys.argv[2], encoding="utf-8", errors="surrogateescape") as names:
    for name in names.read().splitlines():
        try:
            write(sys.argv[1], name)
        except SyntaxError as e:
            tell(name, e.lineno or 0, e.msg)
        except ValueError as e:  # a NUL byte, before 3.12, or an unknown encoding
            tell(name, 0, str(e))
        except (RecursionError, MemoryError):
            tell(name, 0, "it is nested too deeply for Python's compiler")
