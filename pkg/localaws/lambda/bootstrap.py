"""Runs a function's handler as Lambda's own Python runtime does.

Speaks the Runtime API over the inherited file descriptor 3, which belongs to
this environment alone. Its first message is the function: the interpreter may
have started before there was one. Imports as little as it can: each module that a handler
does not need itself is time of every cold start.
"""
import json
import os
import sys
import time

API = 3
NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n"
PIECE = 64 << 10  # of one read; the C library maps larger memory anew for each read


def message(path, body, kind=""):
    """A call of the Runtime API that hands over body."""
    head = "POST /2018-06-01/runtime/%s HTTP/1.1\r\nHost: runtime\r\nContent-Length: %d\r\n" % (path, len(body))
    if kind:
        head += "Lambda-Runtime-Function-Error-Type: %s\r\n" % kind
    return head.encode("latin-1", "replace") + b"\r\n", body


class RuntimeAPI:
    def __init__(self):
        os.set_inheritable(API, False)
        self.pending = b""

    def write(self, *parts):
        data = memoryview(b"".join(parts))
        while data:
            data = data[os.write(API, data):]

    def read(self):
        """Returns headers, by the names that the stack gives them, and the body."""
        while b"\r\n\r\n" not in self.pending:
            self.more()
        head, _, rest = self.pending.partition(b"\r\n\r\n")
        headers = dict([line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:]])
        length = int(headers["Content-Length"])
        chunks, have = [rest], len(rest)
        while have < length:
            self.pending = b""
            self.more()
            chunks.append(self.pending)
            have += len(self.pending)
        body = b"".join(chunks)
        self.pending = body[length:]
        return headers, body[:length]

    def more(self):
        data = os.read(API, PIECE)
        if not data:
            os._exit(0)  # the process that started this environment has ended
        self.pending += data

    def function(self):
        """Waits for the function that this environment is for: one line of JSON."""
        while b"\n" not in self.pending:
            self.more()
        line, _, self.pending = self.pending.partition(b"\n")
        return json.loads(line)


class NoSharedMemory:
    """Lambda has no /dev/shm, and its C library fails with ENOSYS there; a newer one
    fails with ENOENT. Locks, queues and pools of processes fail there; they fail
    here in the same words. A finder, since few handlers import multiprocessing.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "_multiprocessing":
            return None
        sys.meta_path.remove(NoSharedMemory)
        import _multiprocessing as module

        class SemLock(module.SemLock):
            def __new__(cls, *args):
                raise OSError(38, os.strerror(38))

        module.SemLock, NoSharedMemory.module = SemLock, module
        module.__spec__ = type(module.__spec__)(name, NoSharedMemory)
        return module.__spec__

    @staticmethod
    def create_module(spec):
        return NoSharedMemory.module

    @staticmethod
    def exec_module(module):
        """The module is already executed."""


class LambdaContext:
    def __init__(self, headers):
        env = os.environ
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.identity = self.client_context = None
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)


def failure(kind, message, error=None):
    """Returns the error object of an invocation's answer, and prints its log line."""
    frames = []
    if error is not None:
        import traceback

        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__ and "importlib._bootstrap" not in f.filename]
        frames = traceback.format_list(frames)
    print("[ERROR] %s: %s\n%s" % (kind, message, "Traceback (most recent call last):\n" + "".join(frames) if frames else ""))
    return kind, json.dumps({"errorMessage": message, "errorType": kind, "requestId": os.environ.get("_X_REQUEST_ID", ""), "stackTrace": frames}).encode()


def load(name):
    """Imports the handler. Errors have Lambda's own types and messages."""
    module, _, function = name.rpartition(".")
    module = module.replace("/", ".")
    try:
        __import__(module)
        loaded = sys.modules[module]
    except ImportError as e:
        return None, failure("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module, e), e)
    except SyntaxError as e:
        return None, failure("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module, e), e)
    except Exception as e:
        return None, failure(type(e).__name__, str(e), e)
    if not hasattr(loaded, function):
        return None, failure("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function, module))
    return getattr(loaded, function), None


def invoke(handler, event, context):
    """Returns (answer, None) or (None, failure)."""
    try:
        event = json.loads(event or b"{}")
    except Exception as e:
        return None, failure("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e)
    try:
        result = handler(event, context)
    except MemoryError as e:
        return None, failure("MemoryError", str(e.with_traceback(None)))  # its frames reference the objects that fill the memory
    except Exception as e:
        return None, failure(type(e).__name__, str(e), e)
    try:
        return json.dumps(result, ensure_ascii=False).encode(), None
    except Exception as e:
        return None, failure("Runtime.MarshalError", "Unable to marshal response: %s" % e)


def main():
    api, env = RuntimeAPI(), os.environ
    minor = "python%d.%d" % sys.version_info[:2]
    function = api.function()
    env.update(function["variables"] or {})
    os.chdir(function["task"])
    layers, sdk = function["layers"], function["sdk"]
    sys.path[:1] = [function["task"]] + ([layers + "/python/lib/" + minor + "/site-packages", layers + "/python"] if layers else [])
    sys.path += [sdk + "/python"] if sdk else []
    sys.meta_path.insert(0, NoSharedMemory)
    handler, failed = load(env["_HANDLER"])
    if failed:
        api.write(*message("init/error", failed[1], failed[0]))
        api.read()
        sys.exit(1)
    api.write(NEXT)
    while True:
        headers, event = api.read()
        context = LambdaContext(headers)
        env["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
        answer, failed = invoke(handler, event, context)
        path = "invocation/%s/" % context.aws_request_id
        said = message(path + "error", failed[1], failed[0]) if failed else message(path + "response", answer)
        api.write(*said, NEXT)  # together, because each write wakes the stack, and each answer this process
        event = answer = failed = context = said = None
        api.read()


if __name__ == "__main__":
    main()
