"""Python's own modules as they were before the script came.

A script may assign to any of them (time.time, os.write, builtins.len), and so do
libraries that freeze time. The handler's files take their names from here: C
functions and objects alone are called on the copies, since a function that is
written in Python reads its module's globals, which are the script's to change.

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
    """time.monotonic, which libraries replace even where it is held."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def refuse(value):
    raise TypeError("a %s, not JSON" % type_name(value))


def encode(value):
    """JSON without NaN, in characters as they are."""
    return "".join(make_encoder({}, refuse, encode_string, None, ": ", ", ", False, False, False)(value, 0))


def decode(text):
    return scan(text, 0)[0]


def type_name(value):
    """The name of the value's class, whatever its metaclass says."""
    return type.__dict__["__name__"].__get__(type(value))


def is_a(value, *kinds):
    """isinstance, past a __class__ of the script's own."""
    return any(type.__subclasscheck__(kind, type(value)) for kind in kinds)
