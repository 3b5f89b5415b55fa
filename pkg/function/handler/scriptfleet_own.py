"""Copies of Python's own modules, made before the script is imported.

A script may assign to any attribute of a module (time.time, os.write,
builtins.len), and libraries that freeze time do. The handler uses these copies.
Only C functions and objects may be called on them: a function written in Python
reads the globals of its original module, which the script may have changed.

A file that imports `builtins as __builtins__` has built-in functions of its own.
"""

import faulthandler
import gc
import json
import os
import select
import sys
import time
import _signal
import _thread
from _operator import is_

live_os, live_sys, live_time = os, sys, time  # as the script sees them
live_modules = sys.modules["builtins"], json, json.decoder, json.encoder, json.scanner, os, time
live_classes = json.JSONEncoder, json.JSONDecoder


def copy(module):
    theirs = type(module)(module.__name__)
    vars(theirs).update(vars(module))
    return theirs


builtins = dict(vars(sys.modules["builtins"]))
faulthandler, gc, os, select, sys, time, _signal, _thread = map(
    copy, (faulthandler, gc, os, select, sys, time, _signal, _thread))
environ = os.environ
encode_string = json.encoder.encode_basestring
make_encoder = json.encoder.c_make_encoder
scan = json.JSONDecoder().scan_once


def monotonic():
    """time.monotonic; libraries replace references to that function too."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def refuse(value):
    raise TypeError("a %s, not JSON" % type_name(value))


def encode(value):
    """JSON without NaN, and without escapes for non-ASCII characters."""
    return "".join(make_encoder({}, refuse, encode_string, None, ": ", ", ", False, False, False)(value, 0))


def decode(text):
    return scan(text, 0)[0]


def type_name(value):
    """The name of the value's class, without calling its metaclass."""
    return type.__dict__["__name__"].__get__(type(value))


def is_a(value, *kinds):
    """isinstance that ignores a __class__ that the script defines."""
    return any(type.__subclasscheck__(kind, type(value)) for kind in kinds)
