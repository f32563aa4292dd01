# SPDX-License-Identifier: MIT
"""What one user, or all together, may take: whoever takes too much is told the limit and its key, nobody else notices.

Connections count for the effective user at the time of connecting, so a test that runs as root can be several users."""
import contextlib
import itertools
import os
import resource
import socket
import struct
import threading
import time
import unittest

import numpy

import harness
from harness import PREFACE, WIDE, Daemon, RpcError, pack, until

ANNA, BERT, CARL = 64001, 64002, 64003
SMALL = {"method": "exact", "window": 4, "heads": 1, "head_dim": 2}
ROOT_ALONE = unittest.skipUnless(os.geteuid() == 0, "only root can be several users")
ABOVE_FOR_OPERATORS = 4


class Case(unittest.TestCase):
    def daemon(self, limits="", timeouts="", shards=1):
        """One that everybody may connect to."""
        daemon = Daemon("--shards", str(shards),
                        config=f"[listen]\nmode = 0666\n[limits]\n{limits}[timeouts]\n{timeouts}")
        os.chmod(daemon.folder, 0o755)
        return self.enterContext(daemon)

    def connect(self, daemon, uid=None, hello=True):
        with contextlib.ExitStack() as stack:
            if uid is not None:
                os.seteuid(uid)
                stack.callback(os.seteuid, 0)
            client = daemon.client(hello=False)
        self.addCleanup(client.socket.close)
        if hello:
            client.send(PREFACE)
            client.hello = client.request("hello", client="test", versions=[1])
        return client

    def connect_patiently(self, daemon, uid=None):
        """Once the daemon has noticed that others have gone."""
        def client():
            with contextlib.suppress(AssertionError, EOFError, OSError):
                return self.connect(daemon, uid)
            return None
        return until(client, "there was never room again")

    def turned_away(self, daemon, uid, *words):
        client = self.connect(daemon, uid, hello=False)
        method, error = client.notification()
        self.assertEqual((method, error["name"]), ("error", "server_full"))
        for word in words:
            self.assertIn(word, error["message"])
        self.assertIsNone(client.notification())

    def refused(self, client, name, method, *words, **params):
        with self.assertRaises(RpcError) as caught:
            client.request(method, **params)
        self.assertEqual(caught.exception.name, name)
        for word in words:
            self.assertIn(word, caught.exception.error["message"])

    def assert_ended(self, client, name, *words):
        """The last message is this error; returns what came before it."""
        told = []
        while (message := client.notification()) is not None:
            told.append(message)
        self.assertEqual((told[-1][0], told[-1][1]["name"]), ("error", name))
        for word in words:
            self.assertIn(word, told[-1][1]["message"])
        return told[:-1]


@ROOT_ALONE
class Users(Case):
    def test_connections_of_one_user_and_of_all(self):
        daemon = self.daemon("connections = 6\nconnections_per_user = 3\n")
        annas = [self.connect_patiently(daemon, ANNA) for _ in range(3)]
        for _ in range(10):
            self.turned_away(daemon, ANNA, f"3 connections are open for user {ANNA}", "connections_per_user")
        annas.pop().socket.close()
        annas.append(self.connect_patiently(daemon, ANNA))
        self.turned_away(daemon, ANNA, "connections_per_user")
        berts = [self.connect_patiently(daemon, BERT) for _ in range(3)]
        self.turned_away(daemon, CARL, "6 connections are open", "raise connections in [limits]")
        for client in annas + berts:
            self.assertEqual(client.request("ping")["server"], "attnd")

    def test_an_operator_gets_in_when_users_have_all_connections(self):
        daemon = self.daemon("connections = 3\nconnections_per_user = 3\n")
        annas = [self.connect_patiently(daemon, ANNA) for _ in range(3)]
        stream = annas[0].open(attention=SMALL)["stream"]
        self.turned_away(daemon, BERT, "3 connections are open")
        operators = [self.connect_patiently(daemon) for _ in range(ABOVE_FOR_OPERATORS)]
        self.turned_away(daemon, None, f"{3 + ABOVE_FOR_OPERATORS} connections are open")
        self.assertEqual(operators[-1].request("stats")["connections"], 3 + ABOVE_FOR_OPERATORS)
        self.assertEqual(operators[-1].request("kill", stream=stream)["outputs"], 0)
        method, event = annas[0].notification()
        self.assertEqual((method, event["event"], event["stream"], event["reason"]), ("event", "ended", stream, "killed"))

    def test_an_operator_gets_in_when_users_have_all_buffers(self):
        daemon = self.daemon("buffer_bytes = 16K\nbuffer_bytes_per_user = 16K\n")
        annas, served = [], True
        while served:
            annas.append(self.connect(daemon, ANNA, hello=False))
            annas[-1].send(PREFACE + pack([0, 1, "hello", {"versions": [1]}]))
            answer = annas[-1].read()
            served = answer[0] == 1
        self.assertEqual(answer[2]["name"], "limit_exceeded")
        self.assertIn("of 16384 are left", answer[2]["message"])
        self.assertIsNone(annas[-1].read())
        self.assertGreater(len(annas), 8)
        self.assertEqual(self.connect(daemon).request("stats")["connections"], len(annas))

    def test_by_default_one_user_leaves_a_sixteenth_to_others(self):
        daemon = self.daemon("connections = 32\nstreams = 16\n")
        annas = [self.connect_patiently(daemon, ANNA) for _ in range(30)]
        self.turned_away(daemon, ANNA, "limit of 30 for one user", "connections_per_user")
        berts = [self.connect_patiently(daemon, BERT) for _ in range(2)]
        self.turned_away(daemon, CARL, "32 connections are open")
        for _ in range(15):
            annas[0].open(attention=SMALL)
        self.refused(annas[1], "over_capacity", "open", "streams_per_user", attention=SMALL)
        berts[0].open(attention=SMALL)
        self.refused(berts[1], "over_capacity", "open", "16 streams are open", "raise streams in", attention=SMALL)

    def test_streams_of_one_user_and_of_all(self):
        daemon = self.daemon("streams = 5\nstreams_per_user = 3\n")
        one, two, other = (self.connect(daemon, uid) for uid in (ANNA, ANNA, BERT))
        streams = [client.open(attention=SMALL)["stream"] for client in (one, two, two)]
        self.refused(one, "over_capacity", "open", f"3 streams are open for user {ANNA}", "streams_per_user", attention=SMALL)
        two.request("close", stream=streams[0])     # of another connection of hers
        one.open(attention=SMALL)
        self.refused(two, "over_capacity", "open", "streams_per_user", attention=SMALL)
        others = [other.open(attention=SMALL)["stream"] for _ in range(2)]
        self.refused(other, "over_capacity", "open", "5 streams are open", "raise streams in", attention=SMALL)
        self.connect(daemon).request("close", stream=others[0])     # by an operator: still that user's
        other.open(attention=SMALL)

    def test_state_bytes_of_one_user_and_of_all(self):
        size = self.connect(self.daemon()).open(attention=SMALL)["state_bytes"]
        daemon = self.daemon(f"state_bytes = {5 * size - 1}\nstate_bytes_per_user = {3 * size - 1}\n")
        one, other = self.connect(daemon, ANNA), self.connect(daemon, BERT)
        opened = [one.open(attention=SMALL)["stream"] for _ in range(2)]
        self.refused(one, "over_capacity", "open", f"needs {size} bytes", f"user {ANNA} has {size - 1} of {3 * size - 1} left",
                     "state_bytes_per_user", attention=SMALL)
        for _ in range(2):
            other.open(attention=SMALL)
        one.request("close", stream=opened[0])
        one.open(attention=SMALL)
        self.refused(self.connect(daemon, CARL), "over_capacity", "open", f"{size - 1} of {5 * size - 1} are left",
                     "raise state_bytes in", attention=SMALL)

    def test_waiting_requests_of_one_user_and_of_all(self):
        """Each has a stream of which frames wait, as the client that holds it reads nothing, and asks from another client."""
        daemon = self.daemon("unsent_bytes = 4096\nwaiting_requests = 6\nwaiting_requests_per_user = 4\n",
                             timeouts="send_ms = 86400000\n")
        holders, askers = ([self.connect(daemon, uid) for uid in (ANNA, BERT, CARL)] for _ in range(2))
        opened = [holder.open(attention=WIDE) for holder in holders]
        streams, credit = [one["stream"] for one in opened], opened[0]["credit"]
        for holder, stream in zip(holders, streams):
            holder.push(stream, 0, numpy.zeros((credit, opened[0]["input_dim"])))
        daemon.settle()
        asked = []
        for asker, stream, count in zip(askers, streams, (4, 1, 1)):
            asked += [(asker, asker.ask("reset", stream=stream)) for _ in range(count)]
            daemon.settle()
            if asker is askers[0]:
                self.refused(asker, "limit_exceeded", "reset", f"4 requests wait for their turn for user {ANNA}",
                             "waiting_requests_per_user", stream=stream)
        self.refused(askers[2], "limit_exceeded", "reset", "6 requests wait for their turn", stream=streams[2])
        for holder in holders:
            holder.outputs(credit)
        for asker, number in asked:
            self.assertEqual(asker.answer(number)["next_frame"], credit)
        for i in range(4):      # all was given back
            self.assertEqual(holders[0].request("finish", stream=streams[0])["last"], credit - 1)

    def test_requests_on_their_way_to_another_shard_are_bounded_and_all_are_answered(self):
        daemon = self.daemon("waiting_requests_per_user = 3\n", shards=2)
        one, other = self.connect(daemon, ANNA), self.connect(daemon, ANNA)
        streams = [client.open(attention=SMALL)["stream"] for client in (one, other)]
        self.assertEqual({one.request("info", stream=stream)["shard"] for stream in streams}, {0, 1})
        for _ in range(10):
            one.send(b"".join(pack([0, i, "reset", {"stream": streams[1]}]) for i in range(500)))
            told = {}
            while len(told) < 500:
                message = one.read()
                if message[0] == 1:
                    told[message[1]] = message[2] and message[2]["name"]
            self.assertIn(None, told.values())
            self.assertLessEqual(set(told.values()), {None, "limit_exceeded"})
        self.assertEqual(one.request("reset", stream=streams[1])["position"], 0)
        self.assertEqual(one.request("close", stream=streams[1])["frames"], 0)

    def fill(self, client, n_bytes):
        """Sends part of a message, and makes sure that the daemon has read it or ended the connection."""
        with contextlib.suppress(OSError):
            client.send(struct.pack(">I", 1 << 20))
            for _ in range(n_bytes // 4096):
                client.send(bytes(4096))

    def test_buffers_of_one_user(self):
        daemon = self.daemon("buffer_bytes = 4M\nbuffer_bytes_per_user = 256K\n")
        greedy, other = self.connect(daemon, ANNA), self.connect(daemon, BERT)
        self.fill(greedy, 900 << 10)
        self.assert_ended(greedy, "limit_exceeded", f"user {ANNA} has", "of 262144 left", "buffer_bytes_per_user")
        self.fill(other, 100 << 10)
        looking = self.connect(daemon)
        n_connections = looking.request("stats")["connections"]
        for _ in range(20):         # what she had is hers again
            again = self.connect(daemon, ANNA)
            self.fill(again, 100 << 10)
            again.socket.close()
            until(lambda: looking.request("stats")["connections"] == n_connections)
        self.assertEqual(self.connect(daemon, BERT).request("ping")["server"], "attnd")
        self.assertEqual(self.connect(daemon).request("stats")["errors"], {"limit_exceeded": 1})

    def test_buffers_of_all(self):
        daemon = self.daemon("buffer_bytes = 512K\nbuffer_bytes_per_user = 400K\n")
        anna, bert = self.connect(daemon, ANNA), self.connect(daemon, BERT)
        self.fill(anna, 200 << 10)
        self.fill(bert, 900 << 10)
        self.assert_ended(bert, "limit_exceeded", "of 524288 are left", "raise buffer_bytes in [limits]")
        self.assertEqual(self.connect(daemon, BERT).request("ping")["server"], "attnd")

    def test_many_connections_cannot_take_more_than_their_share_of_memory(self):
        daemon = self.daemon("buffer_bytes = 32M\n")
        clients = [self.connect(daemon, ANNA) for _ in range(100)]
        resident = self.resident(daemon)
        for client in clients:
            self.fill(client, 600 << 10)        # 60 MB of them, in rooms of up to 1 MiB
        other = self.connect(daemon, BERT)
        until(lambda: other.request("stats")["errors"].get("limit_exceeded", 0) > 50)
        if not harness.SANITIZERS:
            self.assertLess(self.resident(daemon) - resident, 40 << 20)

    def resident(self, daemon):
        with open(f"/proc/{daemon.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def test_an_open_whose_outputs_have_no_room_is_refused_and_the_connection_goes_on(self):
        daemon = self.daemon("buffer_bytes_per_user = 128K\n")
        client = self.connect(daemon, ANNA)
        large = {**SMALL, "head_dim": 256}      # 64 outputs of 1 KiB, in two buffers
        self.refused(client, "over_capacity", "open", f"user {ANNA} has", "buffer_bytes_per_user", attention=large)
        stream = client.open_attention()["stream"]
        client.push(stream, 0, numpy.zeros((1, 6)))
        client.outputs(1)
        self.assertEqual(client.request("stats")["streams"], 1)


class Accepting(Case):
    def test_without_any_descriptor_accepting_pauses_and_goes_on_later(self):
        daemon = self.daemon()
        soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        held = self.connect(daemon)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, hard))
        waiting = self.connect(daemon, hello=False)
        waiting.send(PREFACE)
        number = waiting.ask("hello", client="test", versions=[1])
        until(lambda: "trying again" in daemon.log())
        daemon.settle()     # it would never rest if it tried all the time
        self.assertEqual(held.request("ping")["server"], "attnd")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(waiting.answer(number)["server"], "attnd")

    def test_whoever_says_no_hello_in_time_is_told_and_closed(self):
        daemon = self.daemon()
        served = self.connect(daemon)
        daemon.reload("[listen]\nmode = 0666\n[timeouts]\nhello_ms = 200\n")
        silent = [b"", PREFACE[:3], PREFACE, PREFACE + pack([0, 1, "hello", {"versions": [1]}])[:-1]]
        clients = [self.connect(daemon, hello=False) for _ in silent]
        for client, data in zip(clients, silent):
            with contextlib.suppress(OSError):      # its time may be over already
                client.send(data)
        for client in clients:
            self.assertEqual(self.assert_ended(client, "bad_order", "200 ms"), [])
        self.assertEqual(served.request("ping")["server"], "attnd")

    def test_refused_hellos_give_no_more_time(self):
        """Where this test is held up, so that the time is over before its first hello comes, it gives more."""
        told, hello_ms = [], 300
        while "bad_params" not in told:
            client = self.connect(self.daemon(timeouts=f"hello_ms = {hello_ms}\n"), hello=False)
            told, numbers = [], itertools.count(1)

            def is_ended():
                with contextlib.suppress(OSError):
                    client.send((b"" if told else PREFACE) + pack([0, next(numbers), "hello", {"client": 7, "versions": [1]}]))
                message = client.read()
                told.extend([message[2]["name"]] if message is not None else [])
                return message is None
            until(is_ended, "they do give more time")
            self.assertEqual((set(told[:-1]) - {"bad_params"}, told[-1]), (set(), "bad_order"))
            hello_ms *= 2


class Reading(Case):
    def test_one_full_stream_of_300_stops_nothing_else(self):
        daemon = self.daemon()
        client = self.connect(daemon)
        full = client.open_attention(window=1024, head_dim=64)
        others = [client.open_attention()["stream"] for _ in range(299)]
        excess = numpy.zeros((full["credit"] + 16, 192), dtype="<f4")
        numbers, turns = [], 20
        sent = threading.Thread(target=self.push_all, args=(client, full["stream"], excess, others, turns, numbers))
        sent.start()
        outputs = {stream: [] for stream in others}
        answered, refused = set(), 0
        while len(answered) < 2 * turns or any(len(got) < turns for got in outputs.values()):
            message = client.read()
            self.assertIsNotNone(message)
            if message[0] == 1:
                self.assertIsNone(message[2])
                answered.add(message[1])
            elif message[1] == "output" and message[2][0] in outputs:
                outputs[message[2][0]].append(message[2][1])
            elif message[1] == "error":
                self.assertEqual((message[2]["name"], message[2]["stream"]), ("credit_exceeded", full["stream"]))
                refused += 1
        sent.join()
        self.assertEqual(answered, set(numbers))
        self.assertEqual(set(map(tuple, outputs.values())), {tuple(range(turns))})
        self.assertGreaterEqual(refused, 1)

    def push_all(self, client, full, excess, others, turns, numbers):
        for turn in range(turns):
            client.push(full, 0 if turn == 0 else turn * 7, excess)
            for stream in others:
                client.push(stream, turn, numpy.zeros((1, 6)))
            numbers.append(client.ask("ping"))
            numbers.append(client.ask("reset", stream=others[turn]))

    def test_a_run_of_frames_that_are_too_old_is_refused_by_one_error(self):
        daemon = self.daemon("unsent_bytes = 64K\n")
        client = self.connect(daemon)
        opened = client.open_attention()
        stream, credit = opened["stream"], opened["credit"]
        for first in range(0, 100 * credit, credit):
            client.push(stream, first, numpy.zeros((credit, 6)))
            client.outputs(credit)
        n_frames = 100 * credit
        for _ in range(50):     # some MB if each were told
            client.push(stream, 0, numpy.zeros((n_frames, 6)))
            method, error = client.notification()
            self.assertEqual((method, error["name"]), ("error", "too_old"))
            self.assertEqual((error["frame"], error["count"], error["expected"]), (0, n_frames - credit, n_frames))
            self.assertEqual(sorted(client.outputs(credit)), list(range(n_frames - credit, n_frames)))
        client.push(stream, n_frames - credit - 1, numpy.zeros((2, 6)))
        self.assertEqual(client.notification()[1]["count"], 1)
        self.assertEqual(list(client.outputs(1)), [n_frames - credit])

    def test_who_reads_nothing_is_not_ended_while_all_fits_the_socket(self):
        daemon = self.daemon(timeouts="send_ms = 200\n")
        client = self.connect(daemon)
        opened = client.open_attention()
        client.push(opened["stream"], 0, numpy.zeros((opened["credit"], 6)))
        looking = self.connect(daemon)
        until(lambda: looking.request("info", stream=opened["stream"])["idle_s"] >= 1)      # by the daemon's own clock
        client.outputs(opened["credit"])
        self.assertEqual(client.request("ping")["server"], "attnd")

    def test_who_reads_less_than_comes_is_not_ended_while_it_reads(self):
        """What waits for it grows all the time, and it is seldom that most of the socket's buffer is read. Where this test is
        held up for long between two reads, it gives more time."""
        send_ms = 1000
        while not self.reads_less_than_comes(send_ms):
            send_ms *= 2
            self.assertLess(send_ms, 1000 * harness.PATIENCE_S)

    def reads_less_than_comes(self, send_ms):
        """False: this test was held up."""
        daemon = self.daemon("unsent_bytes = 64M\n", timeouts=f"send_ms = {send_ms}\n")
        client = self.connect(daemon)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        stream = client.open_attention(head_dim=1024)["stream"]
        client.push(stream, 0, numpy.zeros((1, 3072)))
        client.outputs(1)
        again = pack([2, "push", [stream, 0, bytes(4 * 3072)]])
        sent, got = 0, 0
        begun_s = read_s = time.monotonic()
        while time.monotonic() - begun_s < 3 * send_ms / 1000:
            for _ in range(10):
                client.send(again)
                sent += 1
            told = [client.notification() for _ in range(5)]
            if 2000 * (time.monotonic() - read_s) > send_ms:
                return False
            read_s = time.monotonic()
            self.assertEqual([message and message[0] for message in told], ["output"] * 5)
            got += 5
            time.sleep(0.05)
        for _ in range(sent - got):
            self.assertEqual(client.notification()[0], "output")
        self.assertEqual(client.request("ping")["server"], "attnd")
        return True


if __name__ == "__main__":
    harness.main()
