# SPDX-License-Identifier: MIT
"""That structure.py finds what it is there to find: each case plants a few files with one fault, or with none."""
import os
import shutil
import subprocess
import tempfile
import unittest

from tap import TAPTestRunner

import structure
from structure import Row, Structure

LIST = "#include <stddef.h>\n#include <sys/queue.h>\nstruct item { int n; TAILQ_ENTRY(item) link; };\n" \
    "struct all { TAILQ_HEAD(items, item) items; struct all *next; };\n"
HANDLER = "struct handler { void (*message)(int); };\nextern const struct handler *handler;\nvoid low(void);\n"
LOW = '#include "daemon/low.h"\nconst struct handler *handler;\nvoid low(void) { handler->message(1); }\n'
HIGH = '#include "daemon/low.h"\nstatic void take(int n) { (void)n; low(); }\nconst struct handler one = {%s};\n'


class Measure(unittest.TestCase):
    def plant(self, files, rows=(), names=None, start="batch_run"):
        """{figure's name: figure} of a tree of these files, whose .c files are compiled."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for path, text in files.items():
            os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                file.write(text)
        for path in files:
            if path.endswith(".c"):
                place = os.path.join(os.path.dirname(path), "libx_la-" + os.path.basename(path)[:-2] + ".o")
                subprocess.run([os.environ.get("CC", "cc").split()[0], "-I.", "-c", path, "-o", place], cwd=folder, check=True)
        return {figure.name: figure for figure in Structure(folder, folder, rows, names).figures(start)}

    def written(self, files):
        """The fields that several modules write."""
        details = self.plant(files)["fields of the daemon that several modules write"].details
        return [line.split()[1].rstrip(":") for line in details]

    def test_two_files_that_call_each_other_are_a_circle(self):
        figures = self.plant({"lib/a.c": "int b(void); int a(void) { return b(); }", "lib/b.c": "int b(void) { return 1; }"})
        self.assertEqual(figures["circles of sources"].value, 0)
        figures = self.plant({"lib/a.c": "int b(void); int a(void) { return b(); }",
                              "lib/b.c": "int a(void); int b(void) { return a(); }"})
        self.assertEqual(figures["circles of sources"].value, 1)
        self.assertIn("lib/a.c -> lib/b.c: b", "".join(figures["circles of sources"].details))

    def test_headers_that_include_each_other_are_a_circle(self):
        figures = self.plant({"lib/a.h": '#pragma once\n#include "b.h"\n', "lib/b.h": '#pragma once\n#include "lib/a.h"\n'})
        self.assertEqual(figures["circles of headers"].value, 1)

    def test_a_callback_needs_a_reason(self):
        for given in ("take", ".message = take"):
            files = {"daemon/low.h": HANDLER, "daemon/low.c": LOW, "daemon/high.c": HIGH % given}
            figures = self.plant(files)
            self.assertEqual(figures["callbacks of the daemon without a reason"].value, 1, given)
            figures = self.plant(files, [Row("take", "low", "why")])
            self.assertEqual(figures["callbacks of the daemon without a reason"].value, 0, given)
            self.assertEqual(figures["reasons for callbacks that are none"].value, 0)

    def test_a_function_given_to_a_function_is_a_callback(self):
        files = {"daemon/low.c": "void low(void (*f)(void)) { f(); }",
                 "daemon/high.c": "void low(void (*f)(void));\nstatic void called(void) {}\nvoid high(void) { low(called); }"}
        self.assertEqual(self.plant(files)["callbacks of the daemon without a reason"].value, 1)

    def test_a_reason_without_its_callback_is_told(self):
        figures = self.plant({"daemon/low.c": "void low(void) {}"}, [Row("take", "low", "why")])
        self.assertEqual(figures["reasons for callbacks that are none"].value, 1)

    def test_files_are_entered_by_calls_and_callbacks_alone(self):
        files = {"daemon/low.h": HANDLER, "daemon/low.c": LOW, "daemon/high.c": HIGH % "take",
                 "daemon/batch.c": "void low(void); void other(void); void batch_run(void) { low(); } void not(void) { other(); }",
                 "daemon/open.c": "void other(void) {}"}
        figures = self.plant(files)
        self.assertEqual([line.split(":")[0] for line in figures["files that batch_run enters"].details],
                         ["daemon/batch.c", "daemon/high.c", "daemon/low.c"])
        self.assertEqual(figures["files reached from the file of batch_run"].value, 3)
        self.assertEqual(figures["of them files of requests"].value, 0)
        figures = self.plant(files, names={"high": "pending"})
        self.assertEqual(figures["of them files of requests"].value, 1)

    def test_a_start_that_is_not_there_is_no_good_figure(self):
        self.assertFalse(self.plant({"daemon/batch.c": "int n;"})["files that batch_run enters"].is_good)

    def test_a_field_that_two_modules_write_is_told(self):
        header = "struct part { int n, m; };\nstruct whole { struct part part; struct whole *next; unsigned long counts[2]; };\n"
        add = "static inline void add(unsigned long *count) { ++*count; }\n"
        own = '#include "daemon/a.h"\nvoid a(struct whole *whole) { whole->part.n = 1; whole->counts[1] = 2; }\n'
        for text, fields in (("whole->part.n++;", ["part.n"]), ("whole->next->part.n |= 1;", ["part.n"]),
                             ("whole->part.m = 1;", []), ("int n = whole->part.n == 1; (void)n;", []),
                             ("add(&whole->counts[0]);", ["whole.counts"]),
                             ("*whole = (struct whole){.next = 0};", ["whole.counts"]),
                             ("struct part *part = &whole->part; *part = (struct part){1, 2};", ["part.n"]),
                             ("struct whole own; own.part.n = 1; (void)own;", [])):
            other = '#include "daemon/a.h"\nvoid b(struct whole *whole) { ' + text + " }\n"
            files = {"daemon/a.h": header + add, "daemon/a.c": own}
            self.assertEqual(self.written({**files, "daemon/b.c": other}), fields, text)
            self.assertEqual(self.written({**files, "daemon/a_more.c": other}), [], text)

    def test_a_list_is_written_by_who_changes_it(self):
        own = '#include "daemon/a.h"\nvoid a(struct all *all, struct item *item) { TAILQ_INSERT_TAIL(&all->items, item, link); }'
        for text, fields in (("TAILQ_REMOVE(&all->items, item, link)", ["all.items", "item.link"]),
                             ("(void)TAILQ_FIRST(&all->items)", [])):
            other = '#include "daemon/a.h"\nvoid b(struct all *all, struct item *item) { (void)item; ' + text + "; }\n"
            self.assertEqual(self.written({"daemon/a.h": LIST, "daemon/a.c": own, "daemon/b.c": other}), fields, text)

    def test_fields_and_writes_of_macros_are_seen(self):
        header = "#define ALL(X) X(one) X(two)\nstruct sums {\n#define X(name) int name;\nALL(X)\n#undef X\n};\nextern struct sums sums;\n"
        own = '#include "daemon/a.h"\nstruct sums sums;\nvoid a(void) {\n#define X(name) sums.name = 1;\nALL(X)\n#undef X\n}\n'
        other = '#include "daemon/a.h"\nvoid b(void) { sums.two = 2; }\n'
        self.assertEqual(self.written({"daemon/a.h": header, "daemon/a.c": own, "daemon/b.c": other}), ["sums.two"])

    def test_the_order_is_kept_by_calls_and_includes(self):
        name = "calls and includes against the daemon's order"
        down = {"daemon/batch.c": '#include "daemon/shard.h"\nvoid batch(void) { shard(); }', "daemon/shard.h": "void shard(void);",
                "daemon/shard.c": "void shard(void) {}"}
        self.assertEqual(self.plant(down)[name].value, 0)
        up = {"daemon/shard.c": '#include "daemon/batch.h"\nvoid shard(void) { batch(); }', "daemon/batch.h": "void batch(void);",
              "daemon/batch.c": "void batch(void) {}"}
        self.assertEqual(self.plant(up)[name].value, 2)
        figures = self.plant({"daemon/unheard_of.c": "int n;"})
        self.assertEqual(figures["files of the daemon that the order does not name"].value, 1)

    def test_a_file_of_the_daemon_without_an_object_is_told(self):
        figures = self.plant({"daemon/batch.c": "int n;", "daemon/batch.h": ""})
        self.assertEqual(figures["files of the daemon without an object"].value, 0)
        self.assertIsNone(structure.graph.object_of("/nowhere", "daemon/batch.c"))


if __name__ == "__main__":
    if shutil.which("nm") is None:
        print("1..0 # SKIP there is no nm")
    else:
        runner = TAPTestRunner(verbosity=0)
        runner.set_stream(True)
        runner.set_format("{method_name}")
        unittest.main(testRunner=runner)
