"""Encodes what main returned as JSON, or names the part that JSON cannot express."""

from scriptfleet_own import builtins as __builtins__, decode, encode, is_a, type_name
from scriptfleet_errors import Failure, told

MAX_OUTPUT = 5900000  # leaves room for the rest of an answer within Lambda's 6 MB
DEEPEST = 900


def plain(box):
    """The only value in the list box, converted to JSON's own types, so that every
    runtime encodes it equally. The list is emptied to free memory."""
    try:
        text = encode(box[0])
        size = len(text.encode("utf-8"))
    except MemoryError:
        raise
    except BaseException as e:  # also raised by the script's own objects
        raise not_json(fault_in(box[0]) or "the output is not: %s: %s" % (type_name(e), told(e)))
    if size > MAX_OUTPUT:
        raise too_large(size)
    try:
        value = decode(text)
        same = encode(value) == text
    except (ValueError, RecursionError) as e:
        raise not_json("the output cannot be read back: %s" % told(e))
    if not same:  # two keys became equal
        raise not_json(fault_in(box[0]) or "the output is not the same when it is read back")
    del box[:]
    return value, size


def not_json(why):
    return Failure("OutputNotJSON", "main has to return JSON, and %s." % why)


def too_large(size):
    return Failure("OutputTooLarge", "The output is %d bytes of JSON, and a function returns %d at most: return less, "
                   "or put it somewhere and return where." % (size, MAX_OUTPUT))


def fault_in(output):
    """Names the first value that JSON cannot express, its place, and a replacement;
    None if there is no such value."""
    pending, seen = [("output", output, ())], 0
    while pending and seen < 1000000:
        path, value, above = pending.pop()
        seen += 1
        if not is_a(value, dict, list, tuple):
            fault = fault_of(path, value)
            if fault:
                return fault
            continue
        if id(value) in above:
            return "%s is %s that contains itself" % (path, a_value(value))
        if len(above) >= DEEPEST:
            return "output is nested more than %d levels deep" % DEEPEST
        above += (id(value),)
        if is_a(value, dict):
            fault = fault_of_keys(path, dict.keys(value))
            if fault:
                return fault
            inner = [("%s[%s]" % (path, told(key, repr)[:80]), v, above) for key, v in dict.items(value)]
        else:
            kind = list if is_a(value, list) else tuple
            inner = [("%s[%d]" % (path, i), v, above) for i, v in enumerate(kind.__iter__(value))]
        pending.extend(reversed(inner))
    return None


def fault_of(path, value):
    if value is None or value is True or value is False:
        return None
    if is_a(value, str):
        return None if is_text(value) else "%s holds half of a surrogate pair, which is no text" % path
    if is_a(value, float):
        return None if name_of(value) else "%s is %s, which JSON does not have" % (path, float.__repr__(value))
    if is_a(value, int):
        return None if name_of(value) else "%s is an int of too many digits: str() it" % path
    return "%s is %s%s" % (path, a_value(value), mend(value))


def fault_of_keys(path, keys):
    names = {}
    for key in keys:
        name = name_of(key)
        if name is None:
            return "%s has %s as a key, and keys are strings" % (path, a_value(key))
        if not is_text(name):
            return "%s has a key that holds half of a surrogate pair, which is no text" % path
        if name in names:
            return "%s has the keys %s and %s, which are one in JSON" % (path, told(names[name], repr)[:80], told(key, repr)[:80])
        names[name] = key
    return None


def name_of(key):
    """The JSON form of a key or a number, or None if it has none."""
    if is_a(key, str):
        return str.__str__(key)
    try:
        return encode(key) if key is None or is_a(key, int, float) else None
    except ValueError:
        return None


def is_text(value):
    try:
        str.encode(value, "utf-8")
        return True
    except UnicodeEncodeError:
        return False


MENDS = {
    "Decimal": "str() or float() it", "set": "list() it", "frozenset": "list() it", "generator": "list() it",
    "map": "list() it", "filter": "list() it", "zip": "list() it", "range": "list() it", "dict_keys": "list() it",
    "dict_values": "list() it", "dict_items": "dict() it", "deque": "list() it", "bytes": "decode() it, or base64 it",
    "bytearray": "decode() it, or base64 it", "datetime": "isoformat() it", "date": "isoformat() it",
    "time": "isoformat() it", "timedelta": "take its total_seconds()", "UUID": "str() it", "PosixPath": "str() it",
    "IPv4Address": "str() it", "IPv6Address": "str() it", "complex": "str() it", "coroutine": "await it",
    "Task": "await it", "async_generator": "collect what it yields in a list", "function": "call it", "method": "call it", "Response": "take its json() or its text",
    "ndarray": "tolist() it", "DataFrame": "take its to_dict()", "Series": "take its to_dict()",
    "int64": "int() it", "int32": "int() it", "float32": "float() it", "bool_": "bool() it", "Timestamp": "isoformat() it",
}


def mend(value):
    how = MENDS.get(type_name(value))
    if how is None and is_a(value, BaseException):
        how = "str() it"
    if how is None and "__dataclass_fields__" in vars(type(value)):
        how = "return dataclasses.asdict() of it"
    return ": " + how if how else ""


def a_value(value):
    name = type_name(value)
    return ("an " if name[:1].lower() in "aeiou" else "a ") + name
