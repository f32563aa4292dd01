# SPDX-License-Identifier: MIT
"""What attention costs and brings for one model: accuracy, time a frame and state, exact and with several numbers of landmarks.

Times and states are those of libattn, asked of attnctl; where that cannot be run the columns stay empty.
"""
import json
import os
import subprocess
import tempfile

import judge
import model_file
from network import Encoder


def measured(path):
    """(µs a frame, bytes of state) as the daemon has measured and counts them; (None, None) without attnctl."""
    command = os.environ.get("ATTNCTL") or "attnctl"
    attnd = os.environ.get("ATTND") or "attnd"
    with tempfile.TemporaryDirectory() as folder:
        socket = os.path.join(folder, "attnd.sock")
        try:
            daemon = subprocess.Popen([attnd, "--socket", socket, "--models", os.path.dirname(path)],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError:
            return None, None
        try:
            for _ in range(600):
                done = subprocess.run([command, "--socket", socket, "models", "--json"], stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL)
                if done.returncode == 0:
                    about = json.loads(done.stdout.splitlines()[0])
                    return about.get("cost_us"), about.get("state_bytes")
                if daemon.poll() is not None:
                    break
        except (OSError, ValueError, IndexError):
            pass
        finally:
            daemon.terminate()
            daemon.wait()
    return None, None


def choices(window):
    """Exact, and landmarks from a few to half of the window."""
    return [0] + sorted({max(2, window // part) for part in (30, 15, 10, 6, 4, 2)} - {window})


def compare(c, tensors, clips, args):
    """The table, as text. All rows have the same weights: those that were trained with the model's own attention."""
    lines = [f"{'attention':<16}{'right':>8}{'balanced':>10}{'µs a frame':>12}{'state, KiB':>12}"]
    for m in choices(c["window"]):
        changed = {**c, "landmarks": m}
        model = Encoder(changed)
        model.load_state_dict(tensors)
        result = judge.report(judge.run(model, clips, changed), clips, changed)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.safetensors")
            model_file.write_model(path, {**changed, "events": None}, tensors, {})
            cost, state = measured(path)
        name = f"Nyström, m = {m}" if m else "exact"
        mark = " *" if m == c["landmarks"] else ""
        lines.append(f"{name:<16}{100 * result['accuracy']:>6.1f} %{100 * result['balanced']:>8.1f} %"
                     f"{'-' if cost is None else f'{cost:.1f}':>12}{'-' if state is None else f'{state / 1024:.0f}':>12}{mark}")
    return "\n".join(lines + ["* as trained"])
