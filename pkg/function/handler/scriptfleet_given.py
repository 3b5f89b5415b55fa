"""The script that an env runner was given; a function of a script has it in a file.

The runner sets these before it has the handler import the script, in a process that
executes this script alone. The script's module has the name and the path of a file that
is not there: Python finds its source lines by its loader, unless it is sealed."""

from scriptfleet_own import live_sys
from scriptfleet_stacks import SCRIPT

later = False  # the script comes after the import of the handler
code = None  # None in the function of a script
source, sealed, timeout = b"", False, 0


class Finder:
    """Finds the module script, and loads it."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "script":
            return None
        spec = type(live_sys.__spec__)(name, Finder, origin=SCRIPT)
        spec.has_location = True
        return spec

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        exec(code, vars(module))

    @staticmethod
    def get_source(name):
        import importlib.util
        return importlib.util.decode_source(source)
