"""Writes to a Redis Cluster all the time, remembers what was acknowledged, and looks whether it is all there.

Runs in a pod, against the service HOST. Each of the writers appends numbers to keys of its own, all over the slots, and goes
to the next key only after an acknowledgement: so its longest wait is how long some slot was not there for clients. GET /lap
stops the writers for a moment, reads everything back and answers with what happened since the lap before; GET /fill?keys=N
adds N keys of ballast.
"""

import http.server
import json
import os
import threading
import time
import urllib.parse

from redis.cluster import RedisCluster

WRITERS = 2
KEYS_EACH = 300
PAUSE = 0.004  # between two writes: the machine has other things to do
PATIENCE = 60


def connect():
    # No repetitions and short timeouts: what is measured is the cluster, not the client's patience.
    return RedisCluster(
        host=os.environ["HOST"],
        port=6379,
        password=os.environ["PASSWORD"],
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        cluster_error_retry_attempts=1,
    )


class Session:
    """A client that is made anew after each failure: this version of the library takes long to recover by itself, and
    cannot when every address that it knew is gone."""

    def __init__(self):
        self.client = None

    def attempt(self, command):
        """The command's answer, and None; or None and the error."""
        try:
            self.client = self.client or connect()
            return command(self.client), None
        except Exception as error:  # pylint: disable=broad-except  # the library lets KeyErrors and the like through
            self.client = None
            time.sleep(0.02)
            return None, error

    def insist(self, command):
        deadline = time.monotonic() + PATIENCE
        while True:
            answer, error = self.attempt(command)
            if error is None:
                return answer
            if time.monotonic() > deadline:
                raise error


class Writer(threading.Thread):
    def __init__(self, number):
        super().__init__(daemon=True)
        self.keys = {f"writer-{number}:{i}": [] for i in range(KEYS_EACH)}  # the acknowledged numbers of each
        self.lock = threading.Lock()
        self.session = Session()
        self.last = 0
        self.reset()

    def reset(self):
        self.acknowledged = self.unknown = 0
        self.worst = 0.0
        self.errors = {}

    def run(self):
        while True:
            for key, numbers in self.keys.items():
                with self.lock:
                    self.write(key, numbers)
                time.sleep(PAUSE)

    def write(self, key, numbers):
        began = time.monotonic()
        while True:
            self.last += 1
            number = self.last
            _, error = self.session.attempt(lambda client: client.append(key, f"{number},"))
            self.worst = max(self.worst, time.monotonic() - began)
            if error is None:
                break
            # It may have been carried out: it is neither expected nor refused later.
            self.unknown += 1
            name = f"{type(error).__name__}: {error}"[:120]
            self.errors[name] = self.errors.get(name, 0) + 1
        numbers.append(number)
        self.acknowledged += 1

    def verify(self):
        """How many acknowledged numbers are not there, how many keys hold them in another order, and an example."""
        lost = disordered = 0
        example = ""
        for key, numbers in self.keys.items():
            value = self.session.insist(lambda client, k=key: client.get(k)) or b""
            position = {}
            for i, text in enumerate(value.decode().split(",")[:-1]):
                position.setdefault(int(text), i)  # the library may repeat a command
            missing = [n for n in numbers if n not in position]
            there = [position[n] for n in numbers if n in position]
            if there != sorted(there):
                disordered += 1
            if missing:
                lost += len(missing)
                example = example or f"{key}: {len(missing)} from {missing[0]} to {missing[-1]}"
                self.keys[key] = [n for n in numbers if n in position]  # told once
        return lost, disordered, example


def lap(writers):
    # All of them are held at once: nobody writes while somebody's keys are read.
    for writer in writers:
        writer.lock.acquire()
    try:
        checks = [writer.verify() for writer in writers]
        report = {
            "acknowledged": sum(w.acknowledged for w in writers),
            "unknown": sum(w.unknown for w in writers),
            "lost": sum(c[0] for c in checks),
            "disordered": sum(c[1] for c in checks),
            "example": "; ".join(c[2] for c in checks if c[2]),
            "worst_seconds": round(max(w.worst for w in writers), 2),
            "errors": {k: v for w in writers for k, v in w.errors.items()},
        }
        for writer in writers:
            writer.reset()
        return report
    finally:
        for writer in writers:
            writer.lock.release()


def fill(keys):
    session = Session()
    for first in range(0, keys, 1000):

        def batch(client, numbers=range(first, min(first + 1000, keys))):
            with client.pipeline() as pipeline:
                for number in numbers:
                    pipeline.set(f"ballast:{number}", "x" * 100)
                pipeline.execute()
            return True

        session.insist(batch)
    return {"keys": keys}


def main():
    writers = [Writer(i) for i in range(WRITERS)]
    for writer in writers:
        writer.start()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            url = urllib.parse.urlparse(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            answer = {"/lap": lambda: lap(writers), "/fill": lambda: fill(int(query.get("keys", 0))), "/": dict}
            try:
                status, body = (200, answer[url.path]()) if url.path in answer else (404, {})
            except Exception as error:  # pylint: disable=broad-except
                status, body = 500, {"error": f"{type(error).__name__}: {error}"}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode() + b"\n")
            print(url.path, status, json.dumps(body), flush=True)

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()


if __name__ == "__main__":
    main()
