"""A process that answers what it is sent; what multiprocessing has for it takes 8 ms to load."""

import fcntl
import os
import pickle
import signal
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from digit_infer.errors import DigitError

SIZE = struct.Struct("!Q")  # of a message, in front of it
PIPE = 2**20  # bytes that a pipe holds: the next batch, 512 pictures of 28 x 28 and more, is there when one is done
Work = Callable[[Any], Any]


class Process:
    """A fork of this process, which shares its libraries and model. It answers in order, and ends when it is closed."""

    def __init__(self, work: Work, others: "list[Process]") -> None:
        try:
            tasks, self.sends = os.pipe()
            self.receives, answers = os.pipe()
            self.pid = os.fork()
        except OSError as error:
            raise DigitError(f"cannot start a process ({error.strerror}); --workers asks for fewer") from error
        if not self.pid:
            # what it inherits of the parent's ends it closes, or it would not notice when the parent is gone
            for process in (self, *others):
                process.close()
            serve(tasks, answers, work)
        os.close(tasks)
        os.close(answers)
        os.set_blocking(self.sends, False)  # or both could wait for each other with their pipes full
        with suppress(OSError):  # more than the system lets a user have
            fcntl.fcntl(self.sends, fcntl.F_SETPIPE_SZ, PIPE)
        self.unsent = bytearray()

    def send(self, batch: object) -> None:
        """Hand over what the pipe takes now; `push` hands over the rest."""
        self.unsent += packed(batch)
        self.push()

    def push(self) -> None:
        try:
            while self.unsent:
                del self.unsent[: os.write(self.sends, self.unsent)]
        except BlockingIOError:
            pass  # the pipe is full
        except BrokenPipeError:  # it is dead, which `receive` will notice
            self.unsent.clear()

    def receive(self) -> Any:
        """The next answer. Raises what `work` raised, EOFError where the process has died."""
        answer, error = receive(self.receives)
        if error:
            raise error
        return answer

    def close(self) -> None:
        os.close(self.sends)
        os.close(self.receives)

    def end(self) -> int:
        """Kill it where it lives: its exit code, or the signal that killed it as a negative number."""
        self.close()
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def serve(tasks: int, answers: int, work: Work) -> NoReturn:
    """The life of a process: it ends when its parent closes the pipe."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means,
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # and what a terminal that is gone
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while True:
            batch = receive(tasks)  # raises EOFError at the end
            try:
                reply: tuple[Any, Exception | None] = work(batch), None
            except Exception as error:
                reply = None, error
            send(answers, reply)
    finally:
        os._exit(0)  # without what the parent has to tidy up


def packed(message: object) -> bytes:
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return SIZE.pack(len(content)) + content


def send(pipe: int, message: object) -> None:
    part = memoryview(packed(message))
    while part:
        part = part[os.write(pipe, part) :]


def receive(pipe: int) -> Any:
    """Raises EOFError where the other end is closed."""
    (size,) = SIZE.unpack(read_exactly(pipe, SIZE.size))
    return pickle.loads(read_exactly(pipe, size))


def read_exactly(pipe: int, size: int) -> bytearray:
    content = bytearray(size)
    missing = memoryview(content)
    while missing:
        if not (read := os.readv(pipe, [missing])):
            raise EOFError
        missing = missing[read:]
    return content
