# SPDX-License-Identifier: MIT
"""What a client and the daemon say to each other: every request, and the order of frames."""
import itertools
import os
import sys
import unittest

import numpy

import harness
from harness import Daemon, RpcError, pack

sys.path.insert(0, os.path.join(harness.SRCDIR, "tests/golden"))
import reference  # noqa: E402  (of the golden tests' folder)


def frames(count, width=6, seed=0):
    return numpy.random.default_rng(seed).normal(size=(count, width)).astype("<f4")


def exact(inputs, window):
    """softmax(q k / sqrt d) v over the window, one head, in float64."""
    q, k, v = (part.astype(float) for part in numpy.split(inputs, 3, axis=1))
    rows = []
    for t in range(len(inputs)):
        low = max(0, t - window + 1)
        logits = k[low:t + 1] @ q[t] / numpy.sqrt(q.shape[1])
        weights = numpy.exp(logits - logits.max())
        rows.append(weights @ v[low:t + 1] / weights.sum())
    return numpy.array(rows)


def bits(outputs):
    return {number: row.tobytes() for number, row in outputs.items()}


class Session(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("--shards", "2")
        cls.daemon.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def setUp(self):
        self.client = self.daemon.client()
        self.addCleanup(self.client.socket.close)

    def fails(self, error, method, /, **params):
        with self.assertRaises(RpcError) as caught:
            self.client.request(method, **params)
        self.assertEqual(caught.exception.name, error)
        return caught.exception.error["message"]

    def test_hello_tells_version_limits_and_models(self):
        self.assertEqual(self.client.hello["server"], "attnd")
        self.assertEqual(self.client.hello["limits"]["max_message"], 1 << 20)
        self.assertEqual(self.client.hello["models"], [])

    def test_outputs_follow_the_formula(self):
        stream = self.client.open_attention()["stream"]
        inputs = frames(20)
        self.client.push(stream, 0, inputs)
        outputs = self.client.outputs(20)
        expected = exact(inputs, 4)
        for t in range(20):
            numpy.testing.assert_allclose(outputs[t], expected[t], rtol=1e-5, atol=1e-6)

    def test_an_output_tells_position_warming_and_the_clients_time(self):
        stream = self.client.open_attention()["stream"]
        self.client.push(stream, 0, frames(5), time_value=12.5)
        told = [self.client.notification()[1] for _ in range(5)]
        self.assertEqual([t[3]["position"] for t in told], [0, 1, 2, 3, 4])
        self.assertEqual([t[3]["warming"] for t in told], [1, 1, 1, 0, 0])
        self.assertEqual({t[3]["time"] for t in told}, {12.5})

    def test_frame_numbers_may_begin_anywhere(self):
        attention = {"method": "exact", "window": 4, "heads": 1, "head_dim": 2}
        opened = self.client.open(attention=attention, first_frame=1000)
        self.assertEqual(opened["next_frame"], 1000)
        self.client.push(opened["stream"], 1000, frames(2))
        self.assertEqual(sorted(self.client.outputs(2)), [1000, 1001])

    def test_reset_is_answered_between_the_old_and_the_new_state(self):
        stream = self.client.open_attention()["stream"]
        self.client.push(stream, 0, frames(6))
        number = self.client.ask("reset", stream=stream)
        self.client.push(stream, 6, frames(6))
        self.assertEqual(self.client.answer(number)["next_frame"], 6)
        self.assertEqual(len(self.client.notifications), 6)
        outputs = bits(self.client.outputs(12))
        self.assertEqual([outputs[i] for i in range(6)], [outputs[i + 6] for i in range(6)])

    def test_finish_is_answered_after_everything_is_settled(self):
        stream = self.client.open_attention()["stream"]
        self.assertIsNone(self.client.request("finish", stream=stream)["last"])
        self.client.push(stream, 0, frames(30))
        counts = self.client.request("finish", stream=stream)
        self.assertEqual((counts["last"], counts["frames"], counts["outputs"]), (29, 30, 30))
        self.assertEqual(len(self.client.notifications), 30)
        self.client.push(stream, 30, frames(1))
        self.client.outputs(31)

    def test_close_names_what_it_drops_and_accounts_for_every_frame(self):
        opened = self.client.open_attention(window=4096, head_dim=64)
        stream, credit = opened["stream"], opened["credit"]
        self.client.send(b"".join(pack(message) for message in (
            [2, "push", [stream, 0, harness.frames_bytes(frames(credit, 192))]], [0, 99, "close", {"stream": stream}])))
        self.client.last_id = 99
        counts = self.client.answer(99)
        outputs = dropped = 0
        for _, method, params in self.client.notifications:
            outputs += method == "output"
            if method == "event":
                self.assertEqual((params["event"], params["reason"], params["first"]), ("dropped", "closed", outputs))
                dropped += params["count"]
        self.assertEqual((counts["outputs"], counts["dropped"]), (outputs, dropped))
        self.assertEqual(outputs + dropped, credit)
        self.fails("unknown_stream", "info", stream=stream)

    def test_repeats_are_answered_with_the_same_bits(self):
        stream = self.client.open_attention()["stream"]
        self.client.push(stream, 0, frames(10))
        first = bits(self.client.outputs(10))
        self.client.push(stream, 0, frames(10, seed=7))
        self.assertEqual(bits(self.client.outputs(10)), first)

    def test_an_answer_that_is_no_longer_kept_is_too_old(self):
        opened = self.client.open_attention()
        stream, credit = opened["stream"], opened["credit"]
        for first in range(0, 2 * credit, credit):
            self.client.push(stream, first, frames(credit))
            self.client.outputs(credit)
        self.client.push(stream, credit - 1, frames(1))
        method, error = self.client.notification()
        self.assertEqual((method, error["name"], error["frame"]), ("error", "too_old", credit - 1))
        self.assertEqual(error["expected"], 2 * credit)
        self.client.push(stream, credit, frames(1))
        self.assertEqual(list(self.client.outputs(1)), [credit])

    def test_a_gap_is_told_once_and_the_stream_goes_on_from_expected(self):
        stream = self.client.open_attention()["stream"]
        inputs = frames(9)
        self.client.push(stream, 0, inputs[:3])
        self.client.push(stream, 5, inputs[5:7])
        self.client.push(stream, 7, inputs[7:])
        self.client.push(stream, 3, inputs[3:])
        told = [self.client.notification() for _ in range(10)]
        errors = [params for method, params in told if method == "error"]
        self.assertEqual([(e["name"], e["frame"], e["expected"]) for e in errors], [("frame_gap", 5, 3)])
        self.assertEqual([params[1] for method, params in told if method == "output"], list(range(9)))

    def test_a_push_beyond_the_credit_is_told_once_and_can_be_repeated(self):
        opened = self.client.open_attention()
        stream, credit = opened["stream"], opened["credit"]
        inputs = frames(credit + 8)
        self.client.push(stream, 0, inputs)
        told = [self.client.notification() for _ in range(credit + 1)]
        errors = [params for method, params in told if method == "error"]
        self.assertEqual([(e["name"], e["expected"]) for e in errors], [("credit_exceeded", credit)])
        self.assertIn(f"{credit} frames wait", errors[0]["message"])
        self.client.push(stream, credit, inputs[credit:])
        self.assertEqual(sorted(self.client.outputs(8)), list(range(credit, credit + 8)))

    def test_a_frame_with_nan_is_refused_in_its_turn_and_changes_nothing(self):
        inputs = frames(10)
        bad = inputs.copy()
        bad[4, 3] = numpy.nan
        bad[5, 0] = numpy.inf
        one = self.client.open_attention()["stream"]
        self.client.push(one, 0, bad)
        told = [self.client.notification() for _ in range(10)]
        self.assertEqual([m for m, _ in told], ["output"] * 4 + ["error"] * 2 + ["output"] * 4)
        self.assertEqual([(params["name"], params["frame"]) for _, params in told[4:6]],
                         [("bad_frame", 4), ("bad_frame", 5)])
        self.assertIn("float 3 of frame 4", told[4][1]["message"])
        two = self.client.open_attention()["stream"]
        self.client.push(two, 0, numpy.delete(inputs, [4, 5], axis=0))
        without = self.client.outputs(8)
        self.assertEqual([p[2] for m, p in told if m == "output"], [without[i].tobytes() for i in range(8)])
        self.client.push(one, 4, inputs[4:5])
        self.assertEqual(self.client.notification()[1]["name"], "bad_frame")

    def test_an_output_that_is_not_finite_is_named_and_the_stream_is_as_without_its_frame(self):
        """An output has 1.5 times the values that one landmark takes, and -0.5 times those of the other. Frame 3 is told
        from the others by its key, so 1.4 times its value is in each output while it is in the window."""
        window, large, count = 4, 3, 12
        landmarks = (1.094 * numpy.eye(2)).astype("<f4").tobytes()
        attention = {"method": "nystrom", "window": window, "landmarks": 2, "landmark_policy": "fixed",
                     "q_landmarks": landmarks, "k_landmarks": landmarks}
        usual = numpy.tile(numpy.array([2.84, 0, 0, 0, 1, 1], "<f4"), (count, 1))
        usual[:, 4:] = frames(count, width=2)
        inputs = usual.copy()
        inputs[large, [2, 4]] = 10, 3e38
        plain = self.client.open_attention(**attention)["stream"]
        self.client.push(plain, 0, usual)
        expected = bits(self.client.outputs(count))
        stream = self.client.open_attention(**attention)["stream"]
        for pushed in range(count):
            self.client.push(stream, pushed, inputs[pushed:pushed + 1])
            method, params = self.client.notification()
            if large <= pushed < large + window:
                self.assertEqual((method, params), ("event", self.not_finite(stream, pushed)))
            else:
                self.assertEqual((method, params[1], params[2]), ("output", pushed, expected[pushed]))
                self.assertEqual(params[3]["position"], pushed)
        counts = self.client.request("finish", stream=stream)
        self.assertEqual((counts["frames"], counts["outputs"], counts["skipped"], counts["refused"]),
                         (count, count - window, window, 0))
        self.client.push(stream, large, inputs[:1])
        self.assertEqual(self.client.notification(), ("event", self.not_finite(stream, large)), "of a repeat")

    @staticmethod
    def not_finite(stream, frame):
        return {"event": "skipped", "stream": stream, "first": frame, "count": 1, "reason": "not_finite"}

    def test_a_bin_that_is_no_whole_number_of_frames_is_refused(self):
        stream = self.client.open_attention()["stream"]
        for data in (b"", b"\0" * 23, b"\0" * 25):
            self.client.push(stream, 0, data)
            _, error = self.client.notification()
            self.assertEqual((error["name"], error["expected"], error["stream"]), ("bad_frame", 0, stream))
            self.assertIn(f"{len(data)} bytes", error["message"])
        self.client.push(stream, 0, frames(1))
        self.client.outputs(1)

    def test_unknown_streams_and_models_are_named(self):
        self.assertIn("'nosuch'", self.fails("unknown_model", "open", model="nosuch"))
        for method in ("reset", "finish", "close", "info"):
            self.assertIn("999", self.fails("unknown_stream", method, stream=999))
        self.client.push(999, 0, frames(1))
        _, error = self.client.notification()
        self.assertEqual((error["name"], error["stream"]), ("unknown_stream", 999))
        self.assertEqual(self.client.request("ping")["server"], "attnd")

    def test_what_comes_later_answers_not_supported(self):
        for method, params in (("export", {"stream": 1}), ("import", {}), ("drain", {})):
            self.fails("not_supported", method, **params)

    def test_an_attention_with_every_option_is_that_of_the_formulas(self):
        n, m, count = 13, 3, 40
        random = numpy.random.default_rng(8)
        sent, landmarks = (random.standard_normal(shape).astype("<f4") for shape in ((count, 3, 2, 4), (2, 2, m, 4)))
        fixed = {"landmark_policy": "fixed", "q_landmarks": landmarks[0].tobytes(), "k_landmarks": landmarks[1].tobytes()}
        for policy, refresh, scale in itertools.product(({}, fixed), ("immediate", "spread"), ("matrix", "heads")):
            opened = self.client.open_attention(method="nystrom", window=n, landmarks=m, heads=2, head_dim=4, refresh=refresh,
                                                inverse_scale=scale, retroactive=True, **policy)
            expected = reference.retroactive(sent, n, m, scale, landmarks if policy else None, refresh)
            self.client.push(opened["stream"], 0, sent)
            answers = self.client.outputs(count)
            received = numpy.array([answers[i] for i in range(count)]).reshape(expected.shape)
            numpy.testing.assert_allclose(received, expected, atol=1e-5)
            self.assertEqual((opened["output_dim"], opened["warming_frames"]), (n * 2 * 4, n - 1))

    def test_a_name_is_unique_and_free_again_after_close(self):
        self.client.open_attention(name="camera")
        attention = {"method": "exact", "window": 4, "heads": 1, "head_dim": 2}
        self.fails("stream_exists", "open", name="camera", attention=attention)
        self.client.request("close", name="camera")
        self.client.open_attention(name="camera")
        self.assertEqual(self.client.request("info", name="camera")["name"], "camera")

    def test_another_connection_looks_resets_and_closes(self):
        clients = [self.daemon.client() for _ in range(4)]      # on both shards
        for other in clients:
            self.addCleanup(other.socket.close)
        stream = self.client.open_attention(name="shared")["stream"]
        inputs = frames(4)
        self.client.push(stream, 0, inputs)
        before = bits(self.client.outputs(4))
        for index, other in enumerate(clients):
            self.assertEqual(other.request("info", name="shared")["next_frame"], 4 * (index + 1))
            self.assertIn(stream, [s["stream"] for s in other.request("streams")["streams"]])
            self.assertEqual(other.request("reset", stream=stream)["next_frame"], 4 * (index + 1))
            self.assertEqual(self.client.notification(),
                             ("event", {"event": "reset", "stream": stream, "next_frame": 4 * (index + 1)}))
            self.client.push(stream, 4 * (index + 1), inputs)
            again = bits(self.client.outputs(4))
            self.assertEqual(list(again.values()), list(before.values()))
        with self.assertRaises(RpcError) as caught:
            clients[0].request("finish", stream=stream)
        self.assertEqual(caught.exception.name, "denied")
        self.assertEqual(clients[3].request("close", name="shared")["frames"], 20)
        ended = {"event": "ended", "stream": stream, "reason": "closed"}
        self.assertEqual(self.client.notification(), ("event", ended))

    def test_connections_are_spread_over_the_shards(self):
        with Daemon("--shards", "2") as daemon:
            clients = [daemon.client() for _ in range(6)]
            shards = [client.request("info", stream=client.open_attention()["stream"])["shard"] for client in clients]
            self.assertEqual(set(shards), {0, 1})
            for client in clients:
                client.socket.close()

    def test_stats_count_what_happened(self):
        bad = frames(10)
        bad[9, 0] = numpy.nan
        with Daemon() as daemon, daemon.client() as client:
            before = client.request("stats")
            stream = client.open_attention()["stream"]
            client.push(stream, 0, bad)
            client.request("finish", stream=stream)
            after = client.request("stats")
        moved = {key: after[key] - before[key] for key in ("opened", "frames", "outputs", "refused")}
        self.assertEqual(moved, {"opened": 1, "frames": 10, "outputs": 9, "refused": 1})
        self.assertEqual(after["errors"]["bad_frame"] - before["errors"].get("bad_frame", 0), 1)
        self.assertGreater(after["state_bytes"], before["state_bytes"])

    def test_the_same_session_cut_at_each_byte_gives_the_same_answers(self):
        stream_free = [pack([0, 1, "hello", {"client": "t", "versions": [1]}]),
                       pack([0, 2, "open", {"attention": {"method": "exact", "window": 3, "heads": 1, "head_dim": 1}}])]
        session = harness.PREFACE + b"".join(stream_free)

        def play(cuts):
            client = self.daemon.client(hello=False)
            with client:
                for low, high in zip([0, *cuts], [*cuts, len(session)]):
                    client.send(session[low:high])
                hello, opened = client.read(), client.read()
                push = pack([2, "push", [opened[3]["stream"], 0, harness.frames_bytes(frames(3, 3))]])
                for low, high in zip([0, *cuts], [*cuts, max(len(push), len(session))]):
                    client.send(push[low:high])
                return hello[3]["server"], [client.read()[2][2] for _ in range(3)]

        whole = play([])
        for cut in range(1, len(session)):
            self.assertEqual(play([cut]), whole, f"cut at byte {cut}")
        self.assertEqual(play(list(range(1, len(session)))), whole, "byte by byte")


if __name__ == "__main__":
    harness.main()
