"""Runs shell commands instead of a Python script."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

from scriptfleet_capture import current
from scriptfleet_errors import Failure, describe
from scriptfleet_output import MAX_OUTPUT, too_large
from scriptfleet_stacks import FOLDER

SCRIPT = os.path.join(FOLDER, "script.sh")
SEALED = os.path.join(FOLDER, "scriptfleet_sealed")
BASH = "/bin/bash"  # Amazon Linux has it, and most machines do

# Read by bash before the script: a command that fails ends the script, in a
# pipeline too, and its place is noted in a file.
PRELUDE = """unset BASH_ENV
set -eE -o pipefail
trap 'printf "%%s\\t%%s\\t%%s\\t%%s" "$?" "$LINENO" "${PIPESTATUS[*]}" "$BASH_COMMAND" > %s' ERR
"""


class Commands:
    """script.sh, run by bash in a new folder: a command that fails, also in a
    pipeline, ends it. Its input is in $INPUT if it is under 100 KB, and in the file
    $INPUT_FILE, which is also its stdin. Its standard output is the output: as JSON
    where it is JSON, else as a string without the last line breaks. On a machine
    without bash, sh -e runs it, which ignores failures within a pipeline."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="scriptfleet-")
        self.path = self.shims()
        self.sealed = os.path.exists(SEALED)
        self.parses = None if self.sealed else True  # None: not tried yet

    def shims(self):
        """Makes an `aws` command that uses this interpreter: the one in the layer has
        the path of the interpreter on the machine that built it. Makes `jq` of the
        layer's jaq, which takes jq's language and flags."""
        layers = [p for p in sys.path if os.path.isdir(os.path.join(p, "awscli"))]
        shims = os.path.join(self.folder, "bin")
        os.mkdir(shims)
        if layers:
            aws = os.path.join(shims, "aws")
            with open(aws, "w") as f:
                f.write("#!/bin/sh\nPYTHONPATH='%s' exec '%s' -m awscli \"$@\"\n" % (layers[0], sys.executable))
            os.chmod(aws, 0o755)
        bins = [os.path.join(p, "bin") for p in layers]
        for jaq in (os.path.join(b, "jaq") for b in bins):
            if os.path.exists(jaq):
                os.symlink(jaq, os.path.join(shims, "jq"))
        return os.pathsep.join([shims] + bins + [os.environ.get("PATH") or os.defpath])

    def __call__(self, event):
        work = tempfile.mkdtemp(prefix="run-", dir=self.folder)
        try:
            return self.execute(event, work), None
        except BaseException as e:
            return None, describe(e, "run")
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def execute(self, event, work):
        if self.faulty():
            raise Failure("CommandFailed", "The commands have a syntax error: who may read them finds it with bash -n.")
        code, place = self.wait(event, work)
        current.run.settle()
        stdout, stderr = current.run.out, current.run.err
        if code != 0:
            how = "exit code %d" % code if code > 0 else "signal %d" % -code
            lines = stderr.tail.decode("utf-8", "replace").strip().splitlines()[-5:]
            raise Failure("CommandFailed", "The commands ended with %s%s%s" % (how, place, self.heard(lines, event)))
        if stdout.total > MAX_OUTPUT:
            raise too_large(stdout.total)
        text = bytes(stdout.head).decode("utf-8", "replace")
        try:
            value = json.loads(text)
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
            return value
        except (ValueError, RecursionError):
            return text.rstrip("\r\n")

    def heard(self, lines, event):
        """The last lines of standard error, and what they say of the credential."""
        text = ": " + "\n".join(lines) if lines else "."
        refused = (event.get("credentials") or {}).get("Error")
        if refused:
            return text + "\nThe commands had no credential. " + refused
        if "Unable to locate credentials" in text:
            return text + "\nGive the action a credential: aws then finds its keys in the environment."
        return text

    def faulty(self):
        """Whether the shell cannot parse sealed commands: it would quote them."""
        if self.parses is None:
            self.parses = subprocess.call(
                [BASH if os.access(BASH, os.X_OK) else "/bin/sh", "-n", SCRIPT], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
        return not self.parses

    def wait(self, event, work):
        """Runs the commands, and ends their background processes. Returns the exit
        code and, where bash noted it, the place of the command that failed."""
        value = dict(event.get("input") or {})
        credentials = event.get("credentials") or {}
        if credentials:
            value["AwsCredentials"] = {k: credentials[k] for k in ("Success", "Expiration", "Error") if k in credentials}
        text = json.dumps(value)
        given, prelude, failed = (os.path.join(self.folder, os.path.basename(work) + end) for end in (".json", ".sh", ".failed"))
        with open(prelude, "w") as f:
            f.write(PRELUDE % shlex.quote(failed))
        with open(given, "w+") as stdin:
            stdin.write(text)
            stdin.seek(0)
            env = self.environment(credentials, work)
            env["INPUT_FILE"] = given
            if len(text) < 100000:
                env["INPUT"] = text
            shell = ["/bin/sh", "-e"]
            if os.access(BASH, os.X_OK):
                shell, env["BASH_ENV"] = [BASH], prelude
            child = subprocess.Popen(shell + [SCRIPT], cwd=work, env=env, stdin=stdin, start_new_session=True)
            try:
                code = child.wait()
                return code, place_of(failed, code, self.sealed)
            finally:
                try:
                    os.killpg(child.pid, signal.SIGKILL)
                except OSError:
                    pass
                for path in (given, prelude, failed):
                    if os.path.exists(path):
                        os.unlink(path)

    def environment(self, credentials, work):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "_", "LAMBDA_", "PYTHON"))}
        env.update(PATH=self.path, HOME=work, TMPDIR=work, AWS_PAGER="", AWS_EC2_METADATA_DISABLED="true")
        region = os.environ.get("AWS_REGION")
        if region:
            env["AWS_REGION"] = env["AWS_DEFAULT_REGION"] = region
        if credentials.get("Success"):
            env["AWS_ACCESS_KEY_ID"] = credentials.get("AccessKeyId", "")
            env["AWS_SECRET_ACCESS_KEY"] = credentials.get("SecretAccessKey", "")
            env["AWS_SESSION_TOKEN"] = credentials.get("SessionToken", "")
            env["AWS_CREDENTIAL_EXPIRATION"] = credentials.get("Expiration", "")
        for name, value in os.environ.items():  # endpoints, CA bundles: where AWS is
            if name.startswith("AWS_ENDPOINT_URL") or name == "AWS_CA_BUNDLE":
                env[name] = value
        return env


def place_of(failed, code, sealed):
    """The place of the command that ended the script, as bash noted it. Of sealed
    commands it is the line alone."""
    try:
        with open(failed, errors="replace") as f:
            status, line, pipeline, command = f.read().split("\t", 3)
        if int(status) != code:
            return ""  # noted by a failure that the script went on after
        parts = [int(part) for part in pipeline.split()]
    except (OSError, ValueError):
        return ""
    if len(parts) < 2 and sealed:
        return " in line %s" % line
    if len(parts) < 2:
        return " in line %s, `%s`" % (line, shorten(command))
    which = max(n for n, part in enumerate(parts, 1) if part == code)
    place = " in line %s, command %d of the %d in its pipeline" % (line, which, len(parts))
    if code == 128 + signal.SIGPIPE and which < len(parts):
        place += " (SIGPIPE: a later command stopped reading; let it read everything, or add `|| true`)"
    return place


def shorten(command):
    first = command.strip().split("\n")[0]
    return first if len(first) <= 200 else first[:200] + "\u2026"
