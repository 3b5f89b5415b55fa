"""Runs shell commands instead of a Python script."""

import json
import os
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


class Commands:
    """script.sh, run by sh -e in a new folder. Its input is in $INPUT if it is under
    100 KB, and in the file $INPUT_FILE, which is also its stdin. Its
    standard output is the output: as JSON where it is JSON, else as a string
    without the last line breaks."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="scriptfleet-")
        self.path = self.shims()

    def shims(self):
        """Makes an `aws` command that uses this interpreter: the one in the layer has
        the path of the interpreter on the machine that built it."""
        layers = [p for p in sys.path if os.path.isdir(os.path.join(p, "awscli"))]
        shims = os.path.join(self.folder, "bin")
        os.mkdir(shims)
        if layers:
            aws = os.path.join(shims, "aws")
            with open(aws, "w") as f:
                f.write("#!/bin/sh\nPYTHONPATH='%s' exec '%s' -m awscli \"$@\"\n" % (layers[0], sys.executable))
            os.chmod(aws, 0o755)
        bins = [os.path.join(p, "bin") for p in layers]
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
        code = self.wait(event, work)
        current.run.settle()
        stdout, stderr = current.run.out, current.run.err
        if code != 0:
            how = "exit code %d" % code if code > 0 else "signal %d" % -code
            lines = stderr.tail.decode("utf-8", "replace").strip().splitlines()[-5:]
            raise Failure("CommandFailed", "The commands ended with %s%s" % (how, ": " + "\n".join(lines) if lines else "."))
        if stdout.total > MAX_OUTPUT:
            raise too_large(stdout.total)
        text = bytes(stdout.head).decode("utf-8", "replace")
        try:
            value = json.loads(text)
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
            return value
        except (ValueError, RecursionError):
            return text.rstrip("\r\n")

    def wait(self, event, work):
        """Runs the commands, and ends their background processes."""
        value = dict(event.get("input") or {})
        credentials = event.get("credentials") or {}
        if credentials:
            value["AwsCredentials"] = {"Success": bool(credentials.get("Success"))}
        text = json.dumps(value)
        given = os.path.join(self.folder, os.path.basename(work) + ".json")
        with open(given, "w+") as stdin:
            stdin.write(text)
            stdin.seek(0)
            env = self.environment(credentials, work)
            env["INPUT_FILE"] = given
            if len(text) < 100000:
                env["INPUT"] = text
            child = subprocess.Popen(["/bin/sh", "-e", SCRIPT], cwd=work, env=env, stdin=stdin,
                                          start_new_session=True)
            try:
                return child.wait()
            finally:
                try:
                    os.killpg(child.pid, signal.SIGKILL)
                except OSError:
                    pass
                os.unlink(given)

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
        for name, value in os.environ.items():  # endpoints, CA bundles: where AWS is
            if name.startswith("AWS_ENDPOINT_URL") or name == "AWS_CA_BUNDLE":
                env[name] = value
        return env
