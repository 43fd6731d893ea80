"""harness.py -- servers as processes with their CPU time, wrk as the load, figures in lines.

What all programs in this folder share: servers run on one core and the load on the other, in
turns, so that all meet the same machine. A figure is the time that all processes of a server
spent, user and system, over the requests it answered.
"""

import contextlib
import os
import platform
import re
import resource
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SERVER_CORE, LOAD_CORE = 0, 1
DISTURBED = 0.1                 # of a core, taken by other processes
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROGRAM = Path(sys.argv[0]).name
HISTORY = HERE / "history.csv"
HISTORY_HEAD = ("date,commit,machine,case,server,cpu_us,cpu_us_least,cpu_us_most,ratio,"
                "ratio_least,ratio_most,p50_us,p99_us,requests_per_s,others\n")


def give_up(why):
    sys.exit(f"bench/{PROGRAM}: {why}")


def on_core(core, *command):
    return ["taskset", "-c", str(core), *map(str, command)]


# ---- servers

class Server:
    """A server's processes, its port, and the time they spent.

    `processes` are those that are started for it: a proxy in front counts with what is behind.
    """

    def __init__(self, name, port, *processes):
        self.name, self.port, self.processes = name, port, processes

    def cpu_s(self):
        """User and system time of the processes and all below them, the reaped ones included."""
        for process in self.processes:
            if process.poll() is not None:
                give_up(f"{self.name} ended by itself")
        table = process_table()
        roots = {process.pid for process in self.processes}
        return sum(ticks for pid, (_, ticks) in table.items()
                   if is_below(table, pid, roots)) / TICKS_PER_S


def process_table():
    """Parent and ticks of every process, by its pid."""
    table = {}
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            field = Path("/proc", str(int(entry)), "stat").read_text().rpartition(")")[2].split()
            table[int(entry)] = int(field[1]), sum(map(int, field[11:15]))
    return table


def is_below(table, pid, roots):
    while pid in table and pid not in roots:
        pid = table[pid][0]
    return pid in roots


def machine_cpu_s():
    """What all processes and the kernel spent."""
    field = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    return (sum(map(int, field)) - int(field[3]) - int(field[4])) / TICKS_PER_S


def load_cpu_s():
    """What this program and the runs of wrk that have ended spent."""
    return sum(sum(resource.getrusage(who)[:2])
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


@contextlib.contextmanager
def running(command, log, **how):
    """A process of ours, ended by its pid however the block ends."""
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   **how)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(process, log, pattern):
    """The port that the process says it listens on."""
    for _ in range(500):
        text = log.read_text(encoding="utf-8")
        if hit := re.search(pattern, text):
            return int(hit[1])
        if process.poll() is not None:
            break
        time.sleep(0.02)
    give_up(f"{process.args[3]} does not listen:\n{text}")


def wait_until_open(process, port):
    """For a server that does not say so: until its port takes a connection."""
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    give_up(f"{process.args[3]} does not listen")


def free_port():
    """For a server that cannot be told to let the kernel pick."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def null_server(build, response, scratch):
    """The floor: answers each request with these bytes."""
    name = f"null-{len(response)}"
    (scratch / name).write_bytes(response)
    log = scratch / f"{name}.log"
    command = on_core(SERVER_CORE, build / "bench/null", scratch / name)
    with running(command, log) as process:
        yield Server("null", wait_for_port(process, log, r"^(\d+)\n"), process)


def ask(port, request):
    """One request on a connection of its own; the bytes of its answer."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(request)
        while b"\r\n\r\n" not in answer:
            more = s.recv(65536)
            if not more:
                return answer
            answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        while length and len(body) < int(length[1]) and (more := s.recv(65536)):
            body += more
    return head + b"\r\n\r\n" + body


# ---- load

def percentiles(histogram, interval, *wanted):
    """Percentiles of what wrk measured.

    wrk adds samples that it did not take ("coordinated omission"), each a multiple of
    `interval` below a measured one. That interval is wrong for pipelined requests, so the
    additions are taken out again, from the slowest down, as stats_correct() made them.
    """
    for value in sorted(histogram, reverse=True):
        made_of = histogram.get(value, 0)
        if value < 2 * interval or made_of <= 0:
            continue
        for added in range(value - interval, interval, -interval):
            if added in histogram:
                histogram[added] -= made_of
    total, found, so_far = sum(histogram.values()), [], 0
    for value in sorted(histogram):
        so_far += histogram[value]
        while len(found) < len(wanted) and so_far >= total * wanted[len(found)] / 100:
            found.append(value)
    return found


class Load:
    """What wrk sends: a template whose placeholder is filled with an id drawn for each request.

    `ids` is a file of ids of one length, a line each; None: the UUIDs of fill.c. `count` of
    them are drawn from, `draw` is "uniform" or "log".
    """

    def __init__(self, template, ids, count, draw="log", depth=1):
        self.template, self.ids, self.count = template, ids, count
        self.draw, self.depth = draw, depth


def run_wrk(server, load, scratch, connections, seconds, seed):
    """One run of wrk: its counts and the latency of a write and its answers."""
    (scratch / "template").write_bytes(load.template)
    command = on_core(LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                      "-s", HERE / "draw.lua", f"http://127.0.0.1:{server.port}/", "--",
                      scratch / "template", load.ids or "uuid", load.count, load.draw, load.depth,
                      seed)
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    result = {name: int(value) for name, value in (w.split("=") for w in lines["result"])}
    histogram = {int(us): int(n) for us, n in (w.split(":") for w in lines["latency"])}
    if result["errors"] or not result["requests"]:
        give_up(f"{server.name} answered wrongly:\n{out}")
    interval = max(result["duration_us"] // max(result["requests"] // connections, 1), 1)
    result["p50_us"], result["p99_us"] = percentiles(histogram, interval, 50, 99)
    return result


def measure(server, send):
    """`send()` with the CPU time that `server` spent on it. `send` returns what run_wrk() does."""
    before, all_before, load_before = server.cpu_s(), machine_cpu_s(), load_cpu_s()
    result = send()
    spent = server.cpu_s() - before
    others = machine_cpu_s() - all_before - spent - (load_cpu_s() - load_before)
    result["cpu_us"] = spent * 1e6 / result["requests"]
    result["others"] = max(others, 0) / (result["duration_us"] / 1e6)
    return result


# ---- figures

def middle(rounds, name):
    return statistics.median(r[name] for r in rounds)


def rate(rounds):
    return middle(rounds, "requests") * 1e6 / middle(rounds, "duration_us")


def spread(values):
    return f"{statistics.median(values):.2f} [{min(values):.2f}-{max(values):.2f}]"


def ratios(floor, rounds):
    """Round by round, since the machine changes between them."""
    return [b["cpu_us"] / a["cpu_us"] for a, b in zip(floor, rounds)]


def verdict(ratio, limit, others):
    if others > DISTURBED:
        return "disturbed: no verdict"
    if limit is None:
        return ""
    return f"{'met' if ratio <= limit else 'fell short'}: at most {limit:.2f}"


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, "
            f"{platform.system()} {platform.release()}")


def commit():
    said = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                          stdout=subprocess.PIPE, text=True, check=False)
    return said.stdout.strip() or "unknown"


def remember(case, server, floor, rounds):
    """Appends a line to history.csv."""
    cpu, ratio = [r["cpu_us"] for r in rounds], ratios(floor, rounds)
    if not HISTORY.exists():
        HISTORY.write_text(HISTORY_HEAD)
    with HISTORY.open("a") as out:
        out.write(",".join([
            time.strftime("%Y-%m-%d"), commit(), f'"{machine()}"', case, server.name,
            *(f"{v:.3f}" for v in (statistics.median(cpu), min(cpu), max(cpu),
                                   statistics.median(ratio), min(ratio), max(ratio))),
            f"{middle(rounds, 'p50_us'):.0f}", f"{middle(rounds, 'p99_us'):.0f}",
            f"{rate(rounds):.0f}", f"{middle(rounds, 'others'):.3f}"]) + "\n")


def need_two_cores():
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        give_up("needs two cores: one for the server, one for the load")
    os.sched_setaffinity(0, {LOAD_CORE})
