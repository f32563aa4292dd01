# SPDX-License-Identifier: MIT
"""The life of a stream: parked, attached, taken over, replayed, late, idle, killed."""
import contextlib
import os
import socket
import time
import unittest

import numpy

import harness
from harness import HOLDING_BACK, WIDE, Daemon, RpcError, until

WIDTH = 2
NYSTROM = {"method": "nystrom", "window": 12, "landmarks": 3, "heads": 1, "head_dim": WIDTH}

# Frames that take long enough for something else to happen meanwhile, mostly.
HEAVY = {"method": "exact", "window": 1024, "heads": 16, "head_dim": 64}


def frames(count, seed=0, width=3 * WIDTH):
    return numpy.random.default_rng(seed).standard_normal((count, width)).astype("<f4")


def run_alone(daemon, data, **attention):
    """The outputs of a stream that nothing happens to."""
    with daemon.client() as client:
        stream = client.open_attention(**attention)["stream"]
        outputs = push_all(client, stream, 0, data)
        client.request("close", stream=stream)
        return outputs


def push_all(client, stream, first, data):
    """Pushes by 8 frames, so that no credit is exceeded, and returns {number: output}."""
    outputs = {}
    for start in range(0, len(data), 8):
        part = data[start:start + 8]
        client.push(stream, first + start, part)
        outputs.update(client.outputs(len(part)))
    return outputs


class Case(unittest.TestCase):
    def assert_same(self, received, expected):
        self.assertEqual(sorted(received), sorted(expected))
        for number, output in expected.items():
            self.assertEqual(received[number].tobytes(), output.tobytes(), f"frame {number}")

    def refused(self, code, call, *arguments, **params):
        with self.assertRaises(RpcError) as raised:
            call(*arguments, **params)
        self.assertEqual(raised.exception.name, code)
        return raised.exception.error["message"]

    def events(self, client, count):
        """The next notifications, which have to be events."""
        found = []
        for _ in range(count):
            method, params = client.notification()
            self.assertEqual(method, "event", params)
            found.append(params)
        return found


class Attaching(Case):
    def test_a_stream_goes_on_after_its_connection_broke_on_any_shard(self):
        data = frames(40)
        with Daemon("--shards", "2") as daemon:
            expected = run_alone(daemon, data, **NYSTROM)
            client = daemon.client()
            opened = client.open_attention(name="kitchen", **NYSTROM)
            shards = set()
            outputs = push_all(client, opened["stream"], 0, data[:10])
            for first in range(10, 40, 10):
                client.socket.close()
                until(lambda: self.parked(daemon) == 1)
                client = daemon.client()
                attached = client.request("attach", name="kitchen", token=opened["token"])
                self.assertEqual({**attached, "next_frame": 0, "position": 0}, opened)
                self.assertEqual((attached["next_frame"], attached["position"]), (first, first))
                client.output_widths[opened["stream"]] = opened["output_dim"]
                shards.add(client.request("info", name="kitchen")["shard"])
                outputs.update(push_all(client, opened["stream"], first, data[first:first + 10]))
            self.assertEqual(self.parked(daemon), 0)
            self.assertEqual(client.request("stats")["attached"], 3)
            self.assert_same(outputs, expected)
            client.socket.close()

    @staticmethod
    def parked(daemon):
        with daemon.client() as other:
            streams = other.request("streams")["streams"]
            return sum(1 for stream in streams if other.request("info", stream=stream["stream"]).get("parked"))

    def test_what_was_accepted_before_the_break_is_computed_and_answered_again(self):
        data = frames(30)
        with Daemon() as daemon:
            expected = run_alone(daemon, data, **NYSTROM)
            client = daemon.client()
            opened = client.open_attention(**NYSTROM)
            client.push(opened["stream"], 0, data)
            client.request("ping")      # the push was taken
            client.socket.close()
            with daemon.client() as other:
                attached = other.request("attach", stream=opened["stream"], token=opened["token"])
                other.output_widths[opened["stream"]] = opened["output_dim"]
                self.assertEqual((attached["next_frame"], attached["position"]), (30, 30))
                outputs = push_all(other, opened["stream"], 0, numpy.zeros_like(data))
                self.assert_same(outputs, expected)

    def test_taking_over_tells_the_old_holder_and_ignores_it(self):
        data = frames(24)
        for shards in ("1", "2"):
            with self.subTest(shards=shards), Daemon("--shards", shards) as daemon:
                expected = run_alone(daemon, data, **NYSTROM)
                with daemon.client() as old, daemon.client() as new:
                    opened = old.open_attention(**NYSTROM)
                    stream = opened["stream"]
                    outputs = push_all(old, stream, 0, data[:12])
                    old.push(stream, 20, data[20:])     # a gap, which the attach forgets
                    self.assertEqual(old.notification()[1]["name"], "frame_gap")
                    attached = new.request("attach", stream=stream, token=opened["token"])
                    self.assertEqual(attached["next_frame"], 12)
                    self.assertEqual(self.events(old, 1), [{"event": "superseded", "stream": stream}])
                    old.push(stream, 12, data[:12])     # ignored, without a word
                    self.refused("denied", old.request, "finish", stream=stream)
                    self.assertEqual(old.notifications, [])
                    new.output_widths[stream] = opened["output_dim"]
                    outputs.update(push_all(new, stream, 12, data[12:]))
                    self.assert_same(outputs, expected)

    def test_the_holder_itself_may_attach_which_forgets_a_gap(self):
        with Daemon() as daemon, daemon.client() as client:
            opened = client.open_attention()
            client.push(opened["stream"], 5, frames(1))
            self.assertEqual(client.notification()[1]["name"], "frame_gap")
            attached = client.request("attach", stream=opened["stream"], token=opened["token"])
            self.assertEqual(attached, opened)
            client.push(opened["stream"], 0, frames(1))
            client.outputs(1)

    def test_only_the_token_opens(self):
        with Daemon() as daemon, daemon.client() as client, daemon.client() as other:
            opened = client.open_attention(name="kitchen")
            wrong = bytes(16) if opened["token"] != bytes(16) else b"\1" * 16
            for target in ({"name": "kitchen"}, {"stream": opened["stream"]}):
                message = self.refused("denied", other.request, "attach", token=wrong, **target)
                self.assertIn("token", message)
            self.refused("bad_params", other.request, "attach", name="kitchen")
            self.refused("unknown_stream", other.request, "attach", name="cellar", token=opened["token"])
            client.push(opened["stream"], 0, frames(1))      # still the holder
            client.outputs(1)

    def test_the_newest_of_many_that_ask_wins_and_each_is_answered(self):
        with Daemon("--shards", "2") as daemon:
            holder = daemon.client()
            slow = holder.open(attention={"method": "nystrom", "window": 1024, "landmarks": 64, "heads": 4,
                                          "head_dim": 64})
            stream = slow["stream"]
            for round_number in range(10):
                clients = [daemon.client() for _ in range(4)]
                holder.push(stream, round_number * slow["credit"],
                            frames(slow["credit"], width=slow["input_dim"]))
                holder.request("ping")      # the push was taken: from a holder that was superseded it would not be
                with daemon.stopped():
                    asked = [client.ask("attach", stream=stream, token=slow["token"]) for client in clients]
                results = []
                for client, number in zip(clients, asked):
                    try:
                        results.append(client.answer(number)["next_frame"])
                    except RpcError as error:
                        self.assertEqual(error.name, "superseded")
                        results.append(None)
                held = [client for client, result in zip(clients, results) if result is not None]
                with daemon.client() as other:
                    shown = other.request("info", stream=stream)
                self.assertEqual(shown["next_frame"], (round_number + 1) * slow["credit"])
                self.assertFalse(shown["parked"])
                self.assertGreaterEqual(len(held), 1)
                lost = [client for client in held if not self.holds(client, stream)]
                self.assertEqual(len(held) - len(lost), 1)
                holder.socket.close()
                holder = next(client for client in held if client not in lost)
                for client in clients:
                    if client is not holder:
                        client.socket.close()
            holder.socket.close()

    def test_what_is_asked_behind_an_attach_is_answered_on_whatever_shard(self):
        with Daemon("--shards", "2") as daemon, daemon.client() as old, daemon.client() as new:
            opened = old.open(attention=HEAVY)
            stream, credit, number = opened["stream"], opened["credit"], 0
            data = frames(credit, width=opened["input_dim"])
            for _ in range(2):
                for _ in range(1024 // credit):     # a full window takes long enough for others to ask meanwhile
                    old.push(stream, number, data)
                    old.outputs(credit)
                    number += credit
                old.push(stream, number, data)
                old.request("ping")
                with daemon.stopped():      # so that all of it is there at once, whatever is handled first
                    attach = new.ask("attach", stream=stream, token=opened["token"])
                    ping = new.ask("ping")
                    resets = [old.ask("reset", stream=stream) for _ in range(3)]
                new.answer(ping)
                number += credit
                self.assertEqual(new.answer(attach)["next_frame"], number)
                new.output_widths[stream] = opened["output_dim"]
                new.push(stream, number, data[:1])
                number += 1
                for reset in resets:
                    self.assertIn(old.answer(reset)["next_frame"], (number - 1, number))
                self.assertEqual(new.request("finish", stream=stream)["next_frame"], number)
                old.notifications.clear()
                new.notifications.clear()
                old, new = new, old

    def test_an_attach_that_finds_no_room_takes_the_stream_from_nobody(self):
        with Daemon("--shards", "2", config=HOLDING_BACK) as daemon, daemon.client() as holder, daemon.client() as other:
            opened = holder.open(attention=WIDE)
            stream, credit = opened["stream"], opened["credit"]
            holder.push(stream, 0, frames(credit, width=opened["input_dim"]))
            daemon.settle()     # the holder reads nothing, so that frames wait, and all that is asked for behind them
            self.assertGreater(other.request("info", stream=stream)["queue"], 0)
            asked = [other.ask("reset", stream=stream) for _ in range(64)]
            daemon.settle()
            message = self.refused("limit_exceeded", other.request, "attach", stream=stream, token=opened["token"])
            self.assertIn("64 requests for stream", message)
            self.assertEqual(list(holder.outputs(credit)), list(range(credit)))
            for reset in asked:
                self.assertEqual(other.answer(reset)["next_frame"], credit)
            self.assertEqual({event["event"] for event in self.events(holder, 64)}, {"reset"})
            self.assertEqual(holder.request("finish", stream=stream)["next_frame"], credit)

    @staticmethod
    def holds(client, stream):
        try:
            client.request("finish", stream=stream)
            return True
        except RpcError:
            return False

    def test_a_full_connection_may_not_attach_and_the_stream_stays(self):
        config = "[limits]\nstreams_per_connection = 2\n"
        with Daemon("--shards", "2", config=config) as daemon:
            first = daemon.client()
            opened = first.open_attention()
            first.socket.close()
            with daemon.client() as full, daemon.client() as free:
                full.open_attention()
                full.open_attention()
                self.refused("over_capacity", full.request, "attach", stream=opened["stream"], token=opened["token"])
                free.request("attach", stream=opened["stream"], token=opened["token"])

    def test_without_parking_streams_end_with_their_connection(self):
        with Daemon(config="[timeouts]\npark_ms = 0\n") as daemon, daemon.client() as other:
            client = daemon.client()
            opened = client.open_attention()
            client.socket.close()
            until(lambda: other.request("stats")["streams"] == 0)
            self.refused("unknown_stream", other.request, "attach", stream=opened["stream"], token=opened["token"])


class SendingNoMore(Case):
    """A client that shuts down its writing half has the answers to what it sent, and is parked then."""
    LARGE = {"method": "exact", "window": 40000, "heads": 1, "head_dim": 64}    # its states are emptied on another thread

    def rest(self, client):
        """All that comes until the end of the connection: {request: (error, result)}, {frame: output}."""
        client.socket.shutdown(socket.SHUT_WR)
        answers, outputs = {}, {}
        while (message := client.read()) is not None:
            if message[0] == 1:
                answers[message[1]] = (message[2], message[3])
            else:
                self.assertEqual(message[1], "output")
                stream, first, data = message[2][:3]
                rows = numpy.frombuffer(data, dtype="<f4").reshape(-1, client.output_widths[stream])
                outputs.update(enumerate(rows, first))
        return answers, outputs

    def test_it_has_every_answer_and_can_come_back(self):
        data = frames(60)
        with Daemon() as daemon:
            expected = run_alone(daemon, data, **NYSTROM)
            client = daemon.client()
            opened = client.open_attention(**NYSTROM)
            client.push(opened["stream"], 0, data[:40])
            finish = client.ask("finish", stream=opened["stream"])
            answers, outputs = self.rest(client)
            self.assertEqual(list(answers), [finish])
            self.assertIsNone(answers[finish][0])
            self.assertEqual(answers[finish][1]["last"], 39)
            client.socket.close()
            self.assertEqual(Attaching.parked(daemon), 1)
            with daemon.client() as other:
                attached = other.request("attach", stream=opened["stream"], token=opened["token"])
                self.assertEqual(attached["next_frame"], 40)
                other.output_widths[opened["stream"]] = opened["output_dim"]
                outputs.update(push_all(other, opened["stream"], 40, data[40:]))
            self.assert_same(outputs, expected)

    def test_a_reset_that_takes_long_comes_in_its_place(self):
        data = frames(4, width=3 * 64)
        with Daemon() as daemon:
            expected = run_alone(daemon, data, **self.LARGE)
            client = daemon.client()
            stream = client.open_attention(**self.LARGE)["stream"]
            client.push(stream, 0, frames(3, seed=1, width=3 * 64))
            reset = client.ask("reset", stream=stream)
            client.push(stream, 3, data)
            finish = client.ask("finish", stream=stream)
            answers, outputs = self.rest(client)
            self.assertEqual(list(answers), [reset, finish])
            self.assertEqual(answers[reset], (None, {"next_frame": 3, "position": 0}))
            self.assertEqual(sorted(outputs), list(range(7)))
            self.assert_same({number: outputs[3 + number] for number in range(4)}, expected)
            client.socket.close()

    def test_streams_that_it_opens_last_are_opened_and_parked(self):
        with Daemon() as daemon:
            client = daemon.client()
            asked = [client.ask("open", attention=self.LARGE), client.ask("open", attention=NYSTROM)]
            answers, _ = self.rest(client)
            self.assertEqual(list(answers), asked)
            client.socket.close()
            self.assertEqual(Attaching.parked(daemon), 2)
            with daemon.client() as other:
                for _, opened in answers.values():
                    other.request("attach", stream=opened["stream"], token=opened["token"])

    def test_one_that_reads_slowly_has_all_of_it_too(self):
        data = frames(16, width=3 * 32)
        with Daemon(config=HOLDING_BACK) as daemon:
            expected = run_alone(daemon, data, **WIDE)
            client = daemon.client()
            stream = client.open_attention(**WIDE)["stream"]
            client.push(stream, 0, data)
            finish = client.ask("finish", stream=stream)
            client.socket.shutdown(socket.SHUT_WR)
            daemon.settle()             # nothing more fits the socket
            with daemon.client() as other:
                info = other.request("info", stream=stream)
                self.assertFalse(info.get("parked"))
                self.assertLess(info["outputs"], 16)
            answers, outputs = self.rest(client)
            self.assert_same(outputs, expected)
            self.assertEqual(list(answers), [finish])
            client.socket.close()
            self.assertEqual(Attaching.parked(daemon), 1)

    def test_one_that_closes_instead_is_parked_and_can_come_back(self):
        data = frames(16, width=3 * 32)
        with Daemon(config=HOLDING_BACK) as daemon:
            expected = run_alone(daemon, data, **WIDE)
            for first in (0, 16):
                with self.subTest(first=first):
                    client = daemon.client()
                    opened = client.open_attention(**WIDE)
                    with daemon.stopped():      # so that the end is there with the frames
                        client.push(opened["stream"], 0, data)
                        if first == 0:
                            client.socket.close()
                    if first == 16:
                        daemon.settle()         # some answers fill the socket
                        client.socket.close()
                    until(lambda: Attaching.parked(daemon) == 1)
                    with daemon.client() as other:
                        attached = other.request("attach", stream=opened["stream"], token=opened["token"])
                        self.assertEqual(attached["next_frame"], 16)
                        other.output_widths[opened["stream"]] = opened["output_dim"]
                        other.push(opened["stream"], 0, numpy.zeros_like(data))
                        self.assert_same(other.outputs(16), expected)
                        other.request("close", stream=opened["stream"])


class Endings(Case):
    def test_a_parked_stream_expires(self):
        with Daemon(config="[timeouts]\npark_ms = 300\n") as daemon, daemon.client() as other:
            client = daemon.client()
            opened = client.open_attention(name="kitchen")
            client.socket.close()
            until(lambda: other.request("stats")["expired"] == 1)
            self.refused("unknown_stream", other.request, "attach", name="kitchen", token=opened["token"])
            self.assertEqual(other.request("stats")["streams"], 0)
            self.assertIn("expired", daemon.log())
            other.open_attention(name="kitchen")

    def test_an_idle_stream_is_warned_and_ends_and_one_that_is_used_does_not(self):
        """Where this test itself is held up for so long that the one that it uses idles, too, it gives both more time."""
        idle_ms = 800
        while not self.one_of_two_idles(idle_ms):
            idle_ms *= 2
            self.assertLess(idle_ms, 1000 * harness.PATIENCE_S)

    def one_of_two_idles(self, idle_ms):
        """False: this test was held up."""
        with Daemon(config=f"[timeouts]\nidle_ms = {idle_ms}\n") as daemon, daemon.client() as client:
            idle = client.open_attention()["stream"]
            pushed_s, longest_s = time.monotonic(), 0     # between two pushes, as the daemon saw them, at most
            used = client.open_attention()["stream"]
            number, told = 0, []
            while {"event": "ended", "stream": idle, "reason": "idle"} not in told:
                now_s = time.monotonic()
                client.push(used, number, frames(1))
                while (notification := client.notification())[0] == "event":
                    told.append(notification[1])
                    if told[-1]["stream"] == used and told[-1]["event"] == "ended":
                        break
                longest_s, pushed_s = max(longest_s, time.monotonic() - pushed_s), now_s
                if 1000 * longest_s >= 3 / 4 * idle_ms:
                    return False
                number += 1
                time.sleep(0.02)
            self.assertEqual(told, [{"event": "idle", "stream": idle, "expires_ms": idle_ms // 4},
                                    {"event": "ended", "stream": idle, "reason": "idle"}])
            client.push(idle, 0, frames(1))     # ignored: the client need not know yet
            self.assertEqual(client.request("stats")["expired"], 1)
            self.refused("unknown_stream", client.request, "info", stream=idle)
            return True

    def test_an_operator_kills_and_the_holder_is_told_why(self):
        for shards in ("1", "2"):
            with self.subTest(shards=shards), Daemon("--shards", shards) as daemon:
                with daemon.client() as client, daemon.client() as operator:
                    stream = client.open_attention(name="kitchen")["stream"]
                    client.push(stream, 0, frames(3))
                    client.outputs(3)
                    counts = operator.request("kill", name="kitchen", reason="noise at night")
                    self.assertEqual(counts, {"frames": 3, "outputs": 3, "dropped": 0, "skipped": 0, "refused": 0})
                    self.assertEqual(self.events(client, 1), [{"event": "ended", "stream": stream, "reason": "killed",
                                                               "message": "noise at night"}])
                    self.assertEqual(operator.request("stats")["killed"], 1)
                    self.refused("unknown_stream", operator.request, "kill", name="kitchen")

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_others_may_not_kill_nor_attach_with_a_stolen_token(self):
        with Daemon(config="[listen]\nmode = 0666\n") as daemon, daemon.client() as client:
            os.chmod(daemon.folder, 0o755)
            opened = client.open_attention()
            os.seteuid(65534)
            try:
                other = daemon.client()
            finally:
                os.seteuid(0)
            with other:
                self.refused("denied", other.request, "kill", stream=opened["stream"])
                self.refused("denied", other.request, "attach", stream=opened["stream"], token=opened["token"])


class Replay(Case):
    """R frames rebuild a stream with the same bits; R - 1 do not."""

    def test_the_last_frames_rebuild_a_stream_anywhere(self):
        data = frames(60)
        with Daemon() as daemon:
            expected = run_alone(daemon, data, **NYSTROM)
            with daemon.client() as client:
                n_replayed = client.open_attention(**NYSTROM)["replay_frames"]
                for lost_at in (n_replayed, n_replayed + 7, 45):
                    first = lost_at - (n_replayed - 1)
                    opened = client.open(attention=NYSTROM, first_frame=first, position=first, answer_from=lost_at)
                    self.assertEqual((opened["next_frame"], opened["position"]), (first, first))
                    outputs = {}
                    for number in range(first, 60):
                        client.push(opened["stream"], number, data[number:number + 1])
                    n_skipped = 0
                    while len(outputs) < 60 - lost_at:
                        method, params = client.notification()
                        if method == "event":
                            self.assertEqual((params["event"], params["reason"], params["first"]),
                                             ("skipped", "replay", first + n_skipped))
                            n_skipped += params["count"]
                            continue
                        self.assertEqual(n_skipped, lost_at - first)
                        self.assertEqual(params[3]["position"], params[1])
                        self.assertFalse(params[3].get("warming"))
                        outputs[params[1]] = numpy.frombuffer(params[2], "<f4")
                    self.assert_same(outputs, {number: expected[number] for number in range(lost_at, 60)})

    def test_numbers_may_be_others_than_before(self):
        data = frames(40)
        with Daemon() as daemon, daemon.client() as client:
            expected = run_alone(daemon, data, **NYSTROM)
            opened = client.open(attention=NYSTROM, first_frame=1000, position=0, answer_from=1030)
            client.push(opened["stream"], 1000, data)
            first, params = 1000, None
            while first < 1030:
                params = self.events(client, 1)[0]
                self.assertEqual((params["event"], params["first"]), ("skipped", first))
                first += params["count"]
            outputs = client.outputs(10)
            self.assert_same(outputs, {990 + 10 + number: expected[number] for number in range(30, 40)})
            counts = client.request("close", stream=opened["stream"])
            self.assertEqual(counts, {"frames": 40, "outputs": 10, "dropped": 0, "skipped": 30, "refused": 0})

    def test_too_few_frames_are_told_to_be_warming(self):
        data = frames(60)
        with Daemon() as daemon, daemon.client() as client:
            opened = client.open(attention=NYSTROM, first_frame=50, position=50, answer_from=50)
            warming = []
            for number in range(50, 50 + opened["replay_frames"] + 2):
                client.push(opened["stream"], number, data[number % 60:number % 60 + 1])
                warming.append(bool(client.notification()[1][3].get("warming")))
            self.assertEqual(warming, [True] * (opened["replay_frames"] - 1) + [False] * 3)

    def test_skipped_frames_are_named_at_half_the_credit(self):
        with Daemon() as daemon, daemon.client() as client:
            opened = client.open(attention=NYSTROM, first_frame=0, position=0, answer_from=1000)
            credit = opened["credit"]
            for number in range(credit // 2):
                client.push(opened["stream"], number, frames(1))
            self.assertEqual(self.events(client, 1)[0]["count"], credit // 2)
            client.push(opened["stream"], credit // 2, frames(3))
            self.assertEqual(client.request("finish", stream=opened["stream"])["skipped"], credit // 2 + 3)
            self.assertEqual(self.events(client, 1), [{"event": "skipped", "stream": opened["stream"],
                                                       "first": credit // 2, "count": 3, "reason": "replay"}])
            client.push(opened["stream"], 1, frames(1))     # a repeat has the same answer
            self.assertEqual(self.events(client, 1)[0]["first"], 1)

    def test_a_replay_needs_all_three(self):
        with Daemon() as daemon, daemon.client() as client:
            self.refused("bad_params", client.open, attention=NYSTROM, position=3)
            self.refused("bad_params", client.open, attention=NYSTROM, first_frame=3, position=3, answer_from=2)


class Late(Case):
    """Frames are late because their client reads nothing until they are."""
    DEADLINE_MS = 1
    N_BURSTS = 5

    def settle(self, daemon, client, opened, data, looking=None):
        """Pushes in bursts as large as the credit; returns ({number: (position, output)}, {number: reason}, kinds of event).
        With another client that looks, what still waits of a burst then waits for longer than the deadline."""
        outputs, named, kinds = {}, {}, set()

        def is_late():
            info = looking.request("info", stream=opened["stream"])
            return info["queue"] == 0 or info["oldest_wait_us"] > 1000 * self.DEADLINE_MS

        for start in range(0, len(data), opened["credit"]):
            part = data[start:start + opened["credit"]]
            client.push(opened["stream"], start, part)
            if looking is not None:
                daemon.settle()
                until(is_late)
            while len(outputs) + len(named) < start + len(part):
                method, params = client.notification()
                if method == "output":
                    self.assertEqual(len(params[2]), 4 * opened["output_dim"])
                    outputs[params[1]] = (params[3]["position"], params[2])
                    continue
                self.assertEqual(method, "event", params)
                kinds.add((params["event"], params["reason"]))
                for number in range(params["first"], params["first"] + params["count"]):
                    self.assertNotIn(number, named)
                    named[number] = params["reason"]
        self.assertEqual(sorted([*outputs, *named]), list(range(len(data))))
        return outputs, named, kinds

    @contextlib.contextmanager
    def play(self, late):
        """(daemon, client, opened, frames, what settle returns) of a stream of which frames were late."""
        with Daemon("--shards", "1", config=HOLDING_BACK) as daemon, daemon.client() as client, daemon.client() as looking:
            opened = client.open(attention=WIDE, deadline_ms=self.DEADLINE_MS, late=late)
            data = frames(self.N_BURSTS * opened["credit"], width=opened["input_dim"])
            yield daemon, client, opened, data, self.settle(daemon, client, opened, data, looking)

    def test_drop_oldest_names_what_it_drops_and_applies_the_rest(self):
        with self.play("drop-oldest") as (_, client, opened, data, (outputs, named, kinds)):
            self.assertGreater(len(named), 0)
            self.assertEqual(kinds, {("dropped", "late")})
            self.assertEqual([outputs[number][0] for number in sorted(outputs)], list(range(len(outputs))))
            info = client.request("info", stream=opened["stream"])
            self.assertEqual((info["dropped"], info["outputs"], info["position"]),
                             (len(named), len(outputs), len(outputs)))
            applied = client.open(attention=WIDE)
            for index, number in enumerate(sorted(outputs)):
                client.push(applied["stream"], index, data[number:number + 1])
                _, params = client.notification()
                self.assertEqual(params[2], outputs[number][1], f"frame {number}")

    def test_skip_output_applies_all(self):
        with self.play("skip-output") as (daemon, client, opened, data, (outputs, named, kinds)):
            self.assertGreater(len(named), 0)
            self.assertEqual(kinds, {("skipped", "late")})
            applied = client.open(attention=WIDE)
            expected, _, _ = self.settle(daemon, client, applied, data)
            for number, output in outputs.items():
                self.assertEqual(output, expected[number], f"frame {number}")
            self.assertEqual(client.request("info", stream=opened["stream"])["skipped"], len(named))

    def test_block_answers_all_and_counts_what_came_late(self):
        with self.play("block") as (_, client, opened, data, (outputs, named, _)):
            self.assertEqual((len(outputs), named), (len(data), {}))
            info = client.request("info", stream=opened["stream"])
            self.assertGreater(info["missed"], 0)
            self.assertEqual(client.request("stats")["missed"], info["missed"])

    def test_late_needs_a_deadline(self):
        with Daemon() as daemon, daemon.client() as client:
            message = self.refused("bad_params", client.open, attention=NYSTROM, late="drop-oldest")
            self.assertIn("deadline_ms", message)

    def test_a_reset_between_dropped_frames_takes_effect_at_its_place(self):
        data = frames(32, width=3 * 16 * 64)
        with Daemon() as daemon, daemon.client() as client:
            opened = client.open(attention=HEAVY, deadline_ms=1, late="drop-oldest")
            client.push(opened["stream"], 0, data[:8])
            self.assertEqual(client.request("reset", stream=opened["stream"]), {"next_frame": 8, "position": 0})
            settled = sum(message[2]["count"] if message[1] == "event" else 1 for message in client.notifications)
            self.assertEqual(settled, 8)


if __name__ == "__main__":
    harness.main()
