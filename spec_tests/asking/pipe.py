"""A program that speaks JSON lines: started when it is needed, asked, and ended when it does not answer.

The messages are those of `docs/PROTOCOL.md`.
"""

import atexit
import json
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from itertools import count

from sae_spec.spec_tests.asking.answers import Lost, Misbehaved

PATIENCE, PATIENCE_IN_ALL = 3, 10       # unanswered requests after which an operation, or nothing, is asked any more
ENDED = None                            # what the reader puts after the last line


class Process:
    """A running program, written to and read from by threads, so that nothing it does can hold the suite."""

    def __init__(self, command):
        self.popen = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      start_new_session=True)           # what it starts itself ends with it
        self.requests, self.lines = queue.SimpleQueue(), queue.SimpleQueue()
        for work in (self._write, self._read):
            threading.Thread(target=work, daemon=True).start()
        atexit.register(self.end)

    def _write(self):
        with suppress(OSError), self.popen.stdin as stream:     # after the program has ended: reading says so
            while (text := self.requests.get()) is not ENDED:
                stream.write(text.encode())
                stream.flush()

    def _read(self):
        with self.popen.stdout as stream:
            for line in stream:
                self.lines.put(line.decode("utf-8", errors="replace").rstrip("\r\n"))
        self.lines.put(ENDED)

    def status(self):
        """How the program ended, in words."""
        try:
            return f"exit status {self.popen.wait(timeout=2)}"
        except subprocess.TimeoutExpired:
            return "it closed its standard output"

    def end(self):
        """Kill the program; its exit status."""
        with suppress(OSError):
            os.killpg(self.popen.pid, signal.SIGKILL) if hasattr(os, "killpg") else self.popen.kill()
        self.requests.put(ENDED)
        return self.popen.wait()


class Program:
    """The program, started when it is needed."""

    def __init__(self, command):
        self.command, self.process, self.ids = command, None, count()
        self.unanswered = Counter()     # operation -> requests that were given up

    def ask(self, request):
        """The reply to one request; Lost if there is none, Misbehaved if it is not one."""
        operation = request["operation"]
        if self.unanswered[operation] >= PATIENCE or self.unanswered.total() >= PATIENCE_IN_ALL:
            raise Lost(f"{self.command} was not asked: {self.unanswered.total()} requests before had no answer in time")
        if self.process is None:
            self.process = Process(self.command)
            if operation != "hello":
                self.ask({"operation": "hello"})
        request = {"id": next(self.ids)} | request
        self.process.requests.put(json.dumps(request, allow_nan=False) + "\n")
        return self.reply(request)

    def reply(self, request):
        """What the program says to a request, up to its reply; an extra line is an error once the reply was read."""
        extra, ends = "", time.monotonic() + timeout()
        while True:
            line = self.line(request, ends, extra)
            try:
                reply = json.loads(line)
            except (ValueError, RecursionError):
                reply = None
            if not isinstance(reply, dict):
                extra = extra or f"it printed a line that is not a JSON object: {line[:200]!r}; logs belong on the standard error"
            elif "id" not in reply:
                raise Misbehaved(f"{self.command} replied without the id of the request: {line[:200]}")
            elif reply["id"] == request["id"]:
                if extra:
                    raise Misbehaved(f"{self.command}: {extra}")
                return reply
            elif not (isinstance(reply["id"], int) and reply["id"] < request["id"]):
                raise Misbehaved(f"{self.command} replied to request {reply['id']!r}, asked was {request['id']}")

    def line(self, request, ends, extra):
        """The next line that the program prints."""
        try:
            line = self.process.lines.get(timeout=max(0.0, ends - time.monotonic()))
        except queue.Empty:
            self.unanswered[request["operation"]] += 1
            self.stop()
            raise Lost(f"{self.command} did not answer {request['operation']} within {timeout():g} s (--timeout); "
                       f"it was ended{f'; {extra}' if extra else ''}") from None
        if line is ENDED:
            status = self.process.status()
            self.stop()
            raise Lost(f"{self.command} ended without a reply ({status}){f'; {extra}' if extra else ''}")
        return line

    def stop(self):
        self.process.end()
        self.process = None


def timeout():
    """Seconds that a program has for an answer."""
    return float(os.environ.get("SAE_SPEC_TIMEOUT", "60"))
