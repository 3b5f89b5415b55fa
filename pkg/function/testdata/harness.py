"""Runs handlers as Lambda does, one forked process per case: imports the handler
from the case's folder, invokes it, and kills it at its timeout.

Reads cases as JSON lines: {"folder", "handler", "tmp", "events", "import_ms", "timeout_ms", "pause_ms"}. Answers each with
a line: {"payloads": [...], "log", "killed", "exit", "seconds"}.
"""
import json
import os
import select
import signal
import sys
import time


class Context:
    def __init__(self, n, end):
        self.aws_request_id, self.end = "request-%d" % n, end

    def get_remaining_time_in_millis(self):
        return int((self.end - time.time()) * 1000)


def child(case, answers, log):
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir("/tmp")
    sys.stdout = open(1, "w", closefd=False)
    sys.path.insert(0, case["folder"])
    if case.get("tmp"):
        os.environ["TMPDIR"] = case["tmp"]
        keep_to_own_objects()
    handle = __import__(case.get("handler") or "scriptfleet_handler").handle
    os.write(1, b"runtime after import\n")
    for n, event in enumerate(case["events"]):
        os.write(answers, b"invoke\n")
        answer = handle(event, Context(n, time.time() + case["timeout_ms"] / 1000.0))
        text = json.dumps(answer, ensure_ascii=sys.version_info < (3, 12))  # as Lambda's runtimes do
        os.write(answers, text.encode("utf-8") + b"\n")
        os.write(1, b"runtime after run %d\n" % n)
        time.sleep(case["pause_ms"] / 1000.0)


def keep_to_own_objects():
    """A runner removes all newer System V objects of its uid. Root gives it an IPC
    namespace, so that it does not remove those of other tests."""
    import ctypes  # a function's handler is to find it as the runtime has left it

    ctypes.CDLL(None).unshare(0x08000000)  # CLONE_NEWIPC


def run(case):
    answers, answers_w = os.pipe()
    log = os.open(os.path.join(case["folder"], "log"), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(answers)
            child(case, answers_w, log)
            code = 0
        except BaseException as e:
            os.write(answers_w, ("broken: %r\n" % e).encode())
        finally:
            os._exit(code)
    os.close(answers_w)
    data, end, killed = b"", time.monotonic() + case["import_ms"] / 1000.0, False
    started = time.monotonic()
    while data.count(b"\n") < 2 * len(case["events"]):
        ready, _, _ = select.select([answers], [], [], max(0, end - time.monotonic()))
        if not ready:
            killed = True
            break
        chunk = os.read(answers, 1 << 20)
        if not chunk:
            break
        data += chunk
        if data.endswith(b"invoke\n"):
            started = time.monotonic()
            end = started + case["timeout_ms"] / 1000.0
    seconds = time.monotonic() - started
    if killed:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass
    os.close(answers)
    os.lseek(log, 0, 0)
    text = os.read(log, 1 << 20)[-4096:].decode("utf-8", "replace")
    os.close(log)
    payloads = [p for p in data.decode("utf-8").split("\n") if p and p != "invoke"]
    return {"payloads": payloads, "log": text, "killed": killed, "seconds": seconds,
            "exit": "signal: %d" % (status & 127) if status & 127 else "exit status %d" % (status >> 8)}


for line in sys.stdin:
    sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
    sys.stdout.flush()
