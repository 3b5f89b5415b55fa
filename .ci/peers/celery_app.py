"""The Celery peer: the worker's task, and a sender that prints seconds as JSON."""

import json
import os
import sys
import time

from celery import Celery
from celery.result import ResultSet

app = Celery("peers", broker=os.environ["CELERY_REDIS"], backend=os.environ["CELERY_REDIS"])
app.conf.update(result_expires=600, worker_send_task_events=False, task_send_sent_event=False)

scope = {}
exec(compile(os.environ["CELERY_SCRIPT"], "script.py", "exec"), scope)


@app.task(name="peers.run")
def run(value):
    return scope["main"](value)


def burst(runs):
    began = time.perf_counter()
    with app.pool.acquire(block=True) as connection, app.amqp.Producer(connection) as producer:
        results = ResultSet([run.apply_async(({"n": n},), producer=producer) for n in range(runs)])
    results.join_native(timeout=120)
    return [time.perf_counter() - began]


def steady(runs, rate):
    delays = []
    due = time.perf_counter()
    for n in range(runs):
        due += 1 / rate
        time.sleep(max(0, due - time.perf_counter()))
        began = time.perf_counter()
        run.delay({"n": n}).get(timeout=60)
        delays.append(time.perf_counter() - began)
    return delays


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    print(json.dumps({"burst": burst, "steady": steady}[what](*map(int, numbers))))
