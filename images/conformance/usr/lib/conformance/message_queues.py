"""POSIX message queues by the C library's functions (mq_overview(7)).

Python's library has no interface for them, and so no tests: these are Keelson's own.
"""

import contextlib
import ctypes
import errno
import os
import select
import signal
import subprocess
import sys
import time
import unittest

LIBC = ctypes.CDLL(None, use_errno=True)
NAME = b"/conformance"
# Room for 4 messages of 16 bytes.
COUNT_MAX, LENGTH_MAX = 4, 16
NOBODY = 65534
SIGEV_SIGNAL, SIGEV_NONE = 0, 1


class Attributes(ctypes.Structure):
    """`struct mq_attr` of mq_getattr(3)."""

    _fields_ = [(name, ctypes.c_long) for name in ("flags", "count_max", "length_max", "count")]
    _fields_ += [("reserved", ctypes.c_long * 4)]


class Event(ctypes.Structure):
    """`struct sigevent` of sigevent(3type), 64 bytes."""

    _fields_ = [("value", ctypes.c_void_p), ("signal", ctypes.c_int), ("how", ctypes.c_int)]
    _fields_ += [("reserved", ctypes.c_byte * 48)]


class Time(ctypes.Structure):
    """`struct timespec`."""

    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


def call(name, *arguments):
    """Calls a function; what it reports as -1 becomes an exception."""
    result = getattr(LIBC, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def open_queue(flags, mode=0o600):
    attributes = Attributes(0, COUNT_MAX, LENGTH_MAX, 0)
    return call("mq_open", NAME, flags, mode, ctypes.byref(attributes))


def send(queue, message, priority=0):
    call("mq_send", queue, message, ctypes.c_size_t(len(message)), ctypes.c_uint(priority))


def receive(queue, length=LENGTH_MAX):
    message, priority = ctypes.create_string_buffer(length), ctypes.c_uint()
    size = call("mq_receive", queue, message, ctypes.c_size_t(length), ctypes.byref(priority))
    return message.raw[:size], priority.value


class MessageQueues(unittest.TestCase):
    def setUp(self):
        with contextlib.suppress(OSError):
            call("mq_unlink", NAME)
        self.queue = open_queue(os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NONBLOCK)
        self.addCleanup(lambda: self.unlink_if_there())
        self.addCleanup(lambda: call("mq_close", self.queue))

    def unlink_if_there(self):
        with contextlib.suppress(OSError):
            call("mq_unlink", NAME)

    def assert_errno(self, expected, function, *arguments):
        with self.assertRaises(OSError) as raised:
            function(*arguments)
        self.assertEqual(errno.errorcode[raised.exception.errno], errno.errorcode[expected])

    def test_messages_come_by_priority_and_then_by_age(self):
        for message, priority in [(b"old", 1), (b"first", 7), (b"new", 1), (b"", 0)]:
            send(self.queue, message, priority)
        received = [receive(self.queue) for _ in range(4)]
        self.assertEqual(received, [(b"first", 7), (b"old", 1), (b"new", 1), (b"", 0)])

    def test_a_full_queue_and_an_empty_one_refuse(self):
        self.assert_errno(errno.EAGAIN, receive, self.queue)
        for number in range(COUNT_MAX):
            send(self.queue, b"%d" % number)
        self.assert_errno(errno.EAGAIN, send, self.queue, b"one more")

    def test_a_wait_ends_at_its_deadline(self):
        blocking = open_queue(os.O_RDWR)
        self.addCleanup(lambda: call("mq_close", blocking))
        deadline = Time(int(time.time()), 0)
        buffer = ctypes.create_string_buffer(LENGTH_MAX)
        arguments = (blocking, buffer, ctypes.c_size_t(LENGTH_MAX), None, ctypes.byref(deadline))
        self.assert_errno(errno.ETIMEDOUT, call, "mq_timedreceive", *arguments)

    def test_lengths_are_held(self):
        self.assert_errno(errno.EMSGSIZE, send, self.queue, b"x" * (LENGTH_MAX + 1))
        send(self.queue, b"x")
        self.assert_errno(errno.EMSGSIZE, receive, self.queue, LENGTH_MAX - 1)

    def test_attributes_are_told_and_the_flag_is_set(self):
        attributes = Attributes()
        send(self.queue, b"x")
        call("mq_getattr", self.queue, ctypes.byref(attributes))
        told = (attributes.count_max, attributes.length_max, attributes.count)
        self.assertEqual(told, (COUNT_MAX, LENGTH_MAX, 1))
        self.assertEqual(attributes.flags, os.O_NONBLOCK)
        call("mq_setattr", self.queue, ctypes.byref(Attributes()), ctypes.byref(attributes))
        call("mq_getattr", self.queue, ctypes.byref(attributes))
        self.assertEqual(attributes.flags, 0)

    def test_a_name_is_made_once_and_gone_when_unlinked(self):
        self.assert_errno(errno.EEXIST, open_queue, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        call("mq_unlink", NAME)
        self.assert_errno(errno.ENOENT, open_queue, os.O_RDWR)
        send(self.queue, b"still open")
        self.assertEqual(receive(self.queue), (b"still open", 0))

    def test_a_message_goes_from_process_to_process(self):
        call("mq_setattr", self.queue, ctypes.byref(Attributes()), None)
        program = "import message_queues as m; m.send(m.open_queue(m.os.O_WRONLY), b'hello', 3)"
        where = os.path.dirname(os.path.abspath(__file__))
        with subprocess.Popen([sys.executable, "-c", program], cwd=where) as sender:
            self.assertEqual(receive(self.queue), (b"hello", 3))
        self.assertEqual(sender.returncode, 0)

    def test_permissions_are_held(self):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setuid(NOBODY)
                open_queue(os.O_RDWR)
            except OSError as error:
                status = 0 if error.errno == errno.EACCES else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def test_a_signal_tells_of_the_first_message(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        self.addCleanup(lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1]))
        event = Event(None, signal.SIGUSR1, SIGEV_SIGNAL)
        call("mq_notify", self.queue, ctypes.byref(event))
        self.assert_errno(errno.EBUSY, call, "mq_notify", self.queue, ctypes.byref(event))
        send(self.queue, b"x")
        told = signal.sigtimedwait([signal.SIGUSR1], 10)
        self.assertIsNotNone(told)
        self.assertEqual(told.si_pid, os.getpid())
        # Once: then it is to be asked for again.
        call("mq_notify", self.queue, ctypes.byref(Event(None, 0, SIGEV_NONE)))

    def test_poll_tells_of_a_message(self):
        waiting = select.poll()
        waiting.register(self.queue, select.POLLIN)
        self.assertEqual(waiting.poll(0), [])
        send(self.queue, b"x")
        self.assertEqual(waiting.poll(0), [(self.queue, select.POLLIN)])
