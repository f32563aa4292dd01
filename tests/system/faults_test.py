# SPDX-License-Identifier: MIT
"""Bad input of every kind: who sends it is told what is wrong and what to do; everybody else notices nothing."""
import os
import socket
import struct
import unittest

import numpy

import harness
from harness import PREFACE, Daemon, RpcError, pack, until

N_BYSTANDERS = 8
HELLO = pack([0, 1, "hello", {"client": "t", "versions": [1]}])


class Faults(unittest.TestCase):
    """Each test runs beside bystanders, whose bits must be those of a run without it, and leaves no descriptor."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("--shards", "2", config="[timeouts]\npark_ms = 100\n")
        cls.daemon.__enter__()
        cls.inputs = numpy.random.default_rng(5).normal(size=(30, 12)).astype("<f4")
        with cls.daemon.client() as client:
            stream = client.open_attention(head_dim=4)["stream"]
            client.push(stream, 0, cls.inputs)
            cls.expected = {number: row.tobytes() for number, row in client.outputs(30).items()}

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def setUp(self):
        self.bystanders = [self.daemon.client() for _ in range(N_BYSTANDERS)]
        self.streams = [client.open_attention(head_dim=4)["stream"] for client in self.bystanders]
        self.step(0, 15)
        self.descriptors = self.daemon.descriptors()
        self.errors = sum(self.bystanders[0].request("stats")["errors"].values())

    def step(self, low, high):
        for client, stream in zip(self.bystanders, self.streams):
            client.push(stream, low, self.inputs[low:high])
        for client in self.bystanders:
            for number, row in client.outputs(high - low).items():
                self.assertEqual(row.tobytes(), self.expected[number], "a bystander's output has changed")

    def tearDown(self):
        self.step(15, 30)
        until(lambda: self.daemon.descriptors() <= self.descriptors, "a descriptor was left behind")
        self.assertGreater(sum(self.bystanders[0].request("stats")["errors"].values()), self.errors, "no counter moved")
        for client in self.bystanders:
            client.socket.close()

    def refused(self, data, name):
        """Sends bytes on a new connection; the last message before its end is the error, which is returned."""
        with self.daemon.client(hello=False) as client:
            client.send(data)
            messages = []
            while (message := client.read()) is not None:
                messages.append(message)
        error = messages[-1][2]
        self.assertEqual(error["name"], name)
        self.assertTrue(error["message"])
        return error["message"]

    def test_an_http_client_is_told_at_once(self):
        self.refused(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "bad_preface")

    def test_a_wrong_byte_of_the_preface(self):
        for index in range(4):
            self.refused(PREFACE[:index] + b"x", "bad_preface")

    def test_a_version_that_is_not_spoken(self):
        self.refused(b"ATTN\x09\x00", "bad_version")
        self.refused(PREFACE + pack([0, 1, "hello", {"client": "t", "versions": [7]}]), "bad_version")

    def test_a_message_before_hello(self):
        self.refused(PREFACE + pack([0, 1, "ping", {}]), "bad_order")
        self.refused(PREFACE + pack([2, "push", [1, 0, b"1234"]]), "bad_order")
        self.refused(PREFACE + HELLO + HELLO, "bad_order")

    def test_a_hello_that_was_refused_is_none(self):
        bad = pack([0, 1, "hello", {"client": "t"}])
        self.refused(PREFACE + bad + pack([2, "push", [1, 0, b"1234"]]), "bad_order")
        with self.daemon.client(hello=False) as client:
            client.send(PREFACE + bad + HELLO)
            self.assertEqual(client.read()[2]["name"], "bad_params")
            self.assertEqual(client.read()[3]["server"], "attnd")

    def test_five_bytes_that_claim_4_gib(self):
        before = self.resident_bytes()
        message = self.refused(PREFACE + HELLO + b"\xff\xff\xff\xff\xdd", "limit_exceeded")
        self.assertIn("1048576", message)
        body = b"\xdd\xff\xff\xff\xff"
        self.refused(PREFACE + HELLO + struct.pack(">I", len(body)) + body, "limit_exceeded")
        self.assertLess(self.resident_bytes() - before, 2 << 20)

    def resident_bytes(self):
        with open(f"/proc/{self.daemon.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def test_bombs_of_nesting_and_length(self):
        bombs = [b"\x91" * 1000 + b"\xc0", b"\x81\xa1a" * 500 + b"\xc0", b"\xdc\xff\xff" * 100,
                 b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
                 b"\xc1", b"\xc7\x01\x01\x00", b"\x94\x00\x01\xa4ping"]
        for bomb in bombs:
            with self.daemon.client() as client:
                client.send(struct.pack(">I", len(bomb)) + bomb)
                message = client.read()
                error = message[2]
                self.assertIn(error["name"], ("bad_message", "limit_exceeded"), bomb[:16])

    def test_a_bomb_within_a_request_is_answered_by_its_id(self):
        with self.daemon.client() as client:
            body = b"\x94\x00\x07\xa4ping" + b"\x91" * 100 + b"\xc0"
            client.send(struct.pack(">I", len(body)) + body)
            answer = client.read()
            self.assertEqual((answer[0], answer[1], answer[2]["name"]), (1, 7, "limit_exceeded"))
            self.assertEqual(client.request("ping")["server"], "attnd")

    def test_every_parameter_of_open_with_every_wrong_type(self):
        wrong = [None, True, -1, 1.5, "", "x" * 5000, b"", [], {}, [1], 1 << 63]
        good = {"method": "exact", "window": 4, "heads": 1, "head_dim": 2}
        with self.daemon.client() as client:
            for key in ("method", "window", "heads", "head_dim", "landmarks", "refresh", "retroactive"):
                for value in wrong:
                    try:
                        opened = client.request("open", attention={**good, key: value})
                        client.request("close", stream=opened["stream"])
                    except RpcError as refused:
                        self.assertIn(refused.name, ("bad_params", "limit_exceeded", "over_capacity", "not_supported"))
                        self.assertTrue(refused.error["message"])
            self.assertEqual(client.request("ping")["server"], "attnd")

    def test_an_unknown_method_is_an_error_of_its_request_alone(self):
        with self.daemon.client() as client:
            with self.assertRaises(RpcError) as caught:
                client.request("make_tea")
            self.assertEqual(caught.exception.name, "unknown_method")
            self.assertIn("make_tea", caught.exception.error["message"])
            self.assertEqual(client.request("ping")["server"], "attnd")

    def test_frames_of_the_wrong_size_and_with_nan(self):
        with self.daemon.client() as client:
            stream = client.open_attention()["stream"]
            client.push(stream, 0, b"\0" * 20)
            self.assertEqual(client.notification()[1]["name"], "bad_frame")
            client.push(stream, 0, numpy.full((1, 6), numpy.nan))
            self.assertEqual(client.notification()[1]["name"], "bad_frame")
            client.push(stream, 1, numpy.zeros((1, 6)))
            client.outputs(1)

    def test_a_state_larger_than_the_machine(self):
        with self.daemon.client() as client:
            with self.assertRaises(RpcError) as caught:
                client.request("open", attention={"method": "exact", "window": 1 << 20, "heads": 64, "head_dim": 512})
            self.assertIn(caught.exception.name, ("over_capacity", "bad_params", "limit_exceeded"))
            self.assertRegex(caught.exception.error["message"], r"\d{4}")

    def test_random_bytes_after_a_good_beginning(self):
        generator = numpy.random.default_rng(11)
        for size in (1, 3, 4, 5, 17, 256, 4096):
            with self.daemon.client() as client:
                client.send(struct.pack(">I", size) + generator.bytes(size))
                client.socket.shutdown(socket.SHUT_WR)
                while client.read() is not None:
                    pass
        self.refused(PREFACE + HELLO + b"\0\0\0\0", "limit_exceeded")

    def test_a_flipped_bit_anywhere_in_a_push(self):
        good = pack([2, "push", [1, 0, b"\0" * 48]])
        for index in range(4, len(good) - 48):
            for bit in range(8):
                broken = bytearray(good)
                broken[index] ^= 1 << bit
                with self.daemon.client() as client:
                    client.send(bytes(broken))
                    client.socket.shutdown(socket.SHUT_WR)
                    while client.read() is not None:
                        pass

    def test_clients_that_vanish_at_any_moment(self):
        attention = {"method": "exact", "window": 64, "heads": 1, "head_dim": 16}
        session = PREFACE + HELLO + pack([0, 2, "open", {"attention": attention}])
        for cut in range(0, len(session) + 1, 3):
            with self.daemon.client(hello=False) as client:
                client.send(session[:cut])
        for count in (1, 10, 60):
            with self.daemon.client() as client:
                stream = client.open_attention(window=512, head_dim=64)["stream"]
                client.push(stream, 0, numpy.zeros((count, 192)))
                client.ask("finish", stream=stream)
                client.ask("reset", stream=stream)
        until(lambda: self.bystanders[0].request("stats")["streams"] == N_BYSTANDERS)
        self.refused(b"!", "bad_preface")


if __name__ == "__main__":
    harness.main()
