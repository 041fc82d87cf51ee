"""Writes to a Redis Cluster all the time, remembers what was acknowledged, and looks whether it is all there.

Runs in a pod, against the service HOST. Each of the writers appends numbers to keys of its own, all over the slots, and
goes to the next key only after an acknowledgement: so its longest wait is how long some slot was not there for clients.
GET /lap stops the writers for a moment, reads everything back and answers with what happened since the lap before;
GET /fill?keys=N adds N keys of ballast.
"""

import http.server
import json
import os
import threading
import time
import urllib.parse

from redis import Redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

WRITERS = 2
KEYS_EACH = 300
PAUSE = 0.01  # between two writes: the machine has other things to do
PATIENCE = 60
TIMEOUT = 0.3


def connect(address):
    return Redis(
        host=address[0],
        port=address[1],
        password=os.environ["PASSWORD"],
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )


class Session:
    """A cluster-aware client without any patience of its own, so that what is measured is the cluster: after a failure it
    asks the service for the slots again. (The library's own, in this version, takes seconds to recover.)"""

    def __init__(self):
        self.nodes = {}  # connections by address
        self.slots = {}  # addresses by slot

    def attempt(self, command, *arguments):
        """The answer to a command on one key, and None; or None and the error."""
        try:
            return self.ask_owner(command, *arguments), None
        except (RedisError, OSError) as error:
            self.forget()
            time.sleep(0.02)
            return None, error

    def ask_owner(self, command, key, *arguments):
        slot = key_slot(key.encode())
        try:
            return self.node(self.owner(slot)).execute_command(command, key, *arguments)
        except ResponseError as error:  # outside of its own cluster client the library does not know redirections
            kind, _, where = str(error).partition(" ")
            if kind not in ("ASK", "MOVED"):
                raise
            host, _, port = where.split()[1].rpartition(":")
            if kind == "MOVED":
                self.slots[slot] = (host, int(port))
                return self.node(self.slots[slot]).execute_command(command, key, *arguments)
            with self.node((host, int(port))).pipeline(transaction=False) as pipeline:
                return pipeline.execute_command("ASKING").execute_command(command, key, *arguments).execute()[1]

    def owner(self, slot):
        if slot not in self.slots:
            service = connect((os.environ["HOST"], 6379))
            for first, last, master, *_ in service.execute_command("CLUSTER SLOTS"):
                self.slots.update(dict.fromkeys(range(first, last + 1), (master[0].decode(), master[1])))
            service.close()
        if slot not in self.slots:
            raise RedisError(f"slot {slot} has no owner")
        return self.slots[slot]

    def node(self, address):
        if address not in self.nodes:
            self.nodes[address] = connect(address)
        return self.nodes[address]

    def forget(self):
        for node in self.nodes.values():
            node.close()
        self.nodes, self.slots = {}, {}

    def insist(self, command, *arguments):
        deadline = time.monotonic() + PATIENCE
        while True:
            answer, error = self.attempt(command, *arguments)
            if error is None:
                return answer
            if time.monotonic() > deadline:
                raise error

    def set_many(self, keys, value):
        """Asks anew who owns what until all are set: masters may just be spread, and the machine be slow."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.try_to_set_many(keys, value)
            except (RedisError, OSError):
                self.forget()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def try_to_set_many(self, keys, value):
        pipelines = {}
        for key in keys:
            address = self.owner(key_slot(key.encode()))
            if address not in pipelines:
                pipelines[address] = self.node(address).pipeline(transaction=False)
            pipelines[address].set(key, value)
        for pipeline in pipelines.values():
            pipeline.execute()


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
            _, error = self.session.attempt("APPEND", key, f"{number},")
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
            value = self.session.insist("GET", key) or b""
            position = {}
            for i, text in enumerate(value.decode().split(",")[:-1]):
                position.setdefault(int(text), i)
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
        if not all(writer.is_alive() for writer in writers):
            raise RuntimeError("a writer has died; the pod's log says why")
        checks = [writer.verify() for writer in writers]
        report = {
            "acknowledged": sum(w.acknowledged for w in writers),
            "least_acknowledged": min(w.acknowledged for w in writers),
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
        session.set_many([f"ballast:{i}" for i in range(first, min(first + 1000, keys))], "x" * 100)
    return {"keys": keys}


def main():
    writers = [Writer(i) for i in range(WRITERS)]
    for writer in writers:
        writer.start()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            url = urllib.parse.urlparse(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            answer = {
                "/": dict,
                "/lap": lambda: lap(writers),
                "/fill": lambda: fill(int(query.get("keys", 0))),
            }
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
