# SPDX-License-Identifier: MIT
"""The session that attnd-protocol(7) shows byte by byte, played against a daemon."""
import os
import re
import struct
import unittest

import msgpack

import harness
from harness import PREFACE, SRCDIR, Daemon

# What the manual says to differ from run to run.
FREE = {"version", "features", "limits", "models", "token", "state_bytes", "lag_us", "message"}


def turns():
    """[(side, bytes)] in order, consecutive lines of one side joined."""
    result = []
    with open(os.path.join(SRCDIR, "man", "attnd-protocol.7"), encoding="utf-8") as file:
        for line in file:
            found = re.match(r"([CS]): ((?:[0-9a-f]{2} ?)+)$", line.strip())
            if not found:
                continue
            side, data = found.group(1), bytes.fromhex(found.group(2))
            if result and result[-1][0] == side:
                result[-1] = (side, result[-1][1] + data)
            else:
                result.append((side, data))
    return result


def messages(data):
    while data:
        length = struct.unpack(">I", data[:4])[0]
        yield msgpack.unpackb(data[4:4 + length], strict_map_key=False)
        data = data[4 + length:]


class Manual(unittest.TestCase):
    def compare(self, expected, received):
        """Equal, but for what is free; a map may have more keys than the manual's."""
        if isinstance(expected, dict):
            for key, value in expected.items():
                self.assertIn(key, received)
                if key not in FREE:
                    self.compare(value, received[key])
        elif isinstance(expected, list):
            self.assertEqual(len(received), len(expected), (expected, received))
            for one, other in zip(expected, received):
                self.compare(one, other)
        else:
            self.assertEqual(received, expected)

    def test_the_session_of_the_manual(self):
        script = turns()
        self.assertEqual(script[0][1][:len(PREFACE)], PREFACE)
        n_answers = 0
        with Daemon() as daemon, daemon.client(hello=False) as client:
            for side, data in script:
                if side == "C":
                    client.send(data)
                    continue
                for expected in messages(data):
                    self.compare(expected, client.read())
                    n_answers += 1
        self.assertGreater(n_answers, 10)


class Keys(unittest.TestCase):
    def test_every_key_that_the_daemon_answers_with_is_in_the_page(self):
        with open(os.path.join(SRCDIR, "man", "attnd-protocol.7"), encoding="utf-8") as file:
            page = file.read()
        requests = page.split(".Sh REQUESTS")[1].split(".Sh OPENING")[0]
        about = {item.split()[0]: item for item in requests.split(".It Cm ")[1:]}
        about["open"] = page.split(".Sh OPENING")[1].split(".Sh FRAMES")[0]
        with Daemon("--models", os.path.join(SRCDIR, "tests", "golden", "encoder")) as daemon, daemon.client() as client:
            opened = client.open(model=client.hello["models"][0], name="kitchen")
            stream = opened["stream"]
            answers = {"hello": {**client.hello, **client.hello["limits"]}, "open": opened,
                       "models": client.request("models")["models"][0],
                       "streams": client.request("streams")["streams"][0]}
            for method in ("ping", "stats"):
                answers[method] = client.request(method)
            for method in ("info", "finish", "reset", "close"):
                answers[method] = client.request(method, stream=stream)
        for method, answer in answers.items():
            for key in answer:
                self.assertRegex(about[method], rf"\b{key}\b", method)


if __name__ == "__main__":
    harness.main()
