#!/opt/bin/python3 -uBs
"""Runs the handler on a custom runtime, as Lambda's own Python runtimes do.

Lambda starts this file on provided.al2023, with the address of its Runtime API
in the environment. It gives one invocation at a time, and stops the process
between them. A process that ends is started again for the next invocation.
"""
import http.client
import json
import os
import sys
import time

API = "/2018-06-01/runtime/"


class Context:
    def __init__(self, headers):
        env = os.environ
        self.aws_request_id = headers.get("Lambda-Runtime-Aws-Request-Id", "")
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn", "")
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.identity = self.client_context = None
        self._deadline = int(headers.get("Lambda-Runtime-Deadline-Ms", 0))

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)


def call(api, method, path, body=None, headers={}):
    api.request(method, API + path, body, headers)
    answer = api.getresponse()
    return answer.headers, answer.read()


def failure(error):
    kind = type(error).__name__
    print("[ERROR] %s: %s" % (kind, error))
    body = {"errorMessage": str(error), "errorType": kind, "stackTrace": []}
    return json.dumps(body).encode(), {"Lambda-Runtime-Function-Error-Type": kind}


def main():
    env = os.environ
    api = http.client.HTTPConnection(env["AWS_LAMBDA_RUNTIME_API"])  # without a timeout: the next invocation may be hours away
    root, minor = env.get("LAMBDA_TASK_ROOT", "/var/task"), "python%d.%d" % sys.version_info[:2]
    sys.path[:1] = [root, "/opt/python/lib/" + minor + "/site-packages", "/opt/python"]
    module, _, name = env["_HANDLER"].rpartition(".")
    try:
        handler = getattr(__import__(module), name)
    except BaseException as e:
        call(api, "POST", "init/error", *failure(e))
        sys.exit(1)
    while True:
        headers, event = call(api, "GET", "invocation/next")
        context = Context(headers)
        env["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
        path = "invocation/%s/" % context.aws_request_id
        try:
            answer = json.dumps(handler(json.loads(event or b"{}"), context), ensure_ascii=False).encode()
        except Exception as e:
            call(api, "POST", path + "error", *failure(e))
        else:
            call(api, "POST", path + "response", answer)
        event = answer = context = None


if __name__ == "__main__":
    main()
