"""harness.py -- servers as processes with their CPU time, wrk as the load, figures in lines.

What all programs in this folder share: servers run on one core and the load on the other, in
turns, so that all meet the same machine. CPU time is what all processes of a server spent, user
and system, over the requests it answered. Figures that have a target say whether it was met;
history.csv keeps them, a line each, for bench/plot.
"""

import argparse
import contextlib
import csv
import os
import platform
import re
import resource
import shutil
import socket
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SERVER_CORE, LOAD_CORE = 0, 1
DISTURBED = 0.1                 # of a core, taken by other processes
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROGRAM = Path(sys.argv[0]).name
HISTORY = HERE / "history.csv"
QUICK_HISTORY = ROOT / "build/bench/quick.csv"
HISTORY_HEAD = ("date,commit,machine,case,server,cpu_us,cpu_us_least,cpu_us_most,p50_us,p99_us,"
                "requests_per_s,others,figure,median,least,most,target,verdict\n")
WRITTEN_HERE = ["bench/history.csv", "docs/bench.png", "README.md"]
DAY_S = 24 * 60 * 60


def options(doc, **defaults):
    """The options that all programs here have; --quick is for trying, its figures are rough."""
    p = argparse.ArgumentParser(prog=f"bench/{PROGRAM}", description=doc,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sessions", type=int, default=defaults.get("sessions", 1_000_000))
    p.add_argument("--connections", type=int, default=16)
    p.add_argument("--rounds", type=int, default=defaults.get("rounds", 9), help="of each case")
    p.add_argument("--seconds", type=int, default=1, help="per round")
    p.add_argument("--build", type=Path, default=ROOT / "build", help="where the programs are")
    p.add_argument("--store", type=Path, metavar="DIR",
                   help="keep the stores here for the next runs of this day")
    p.add_argument("--history", action="store_true",
                   help="append to bench/history.csv, with --quick to build/bench/quick.csv")
    p.add_argument("--quick", action="store_true", help="few sessions, few rounds: for trying")
    return p


def parse(p, *programs):
    """Parses the options; the programs have to be there: of o.build where they have a slash."""
    o = p.parse_args()
    if o.quick:
        o.sessions, o.rounds = min(o.sessions, 20_000), 2
    for program in ("./sidecart", *programs):
        program = o.build / program if "/" in program else program
        if shutil.which(program) is None:
            give_up(f"{program} is not there: make bench builds and installs all")
    return o


@contextlib.contextmanager
def scratch_directory(o):
    """o.scratch; signals leave by way of every `finally`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix=f"sidecart-{PROGRAM}-") as scratch:
        o.scratch = Path(scratch)
        o.scratch.chmod(0o755)
        try:
            yield
        except KeyboardInterrupt:
            sys.exit(130)


def progress(text):
    """What is being done, on a terminal alone; the next line takes its place."""
    if sys.stderr.isatty():
        print(f"{text:<60}\r", end="", file=sys.stderr, flush=True)


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


def wait_for_port(process, log, pattern, group=1):
    """The port that the process says it listens on."""
    for _ in range(500):
        text = log.read_text(encoding="utf-8")
        if hit := re.search(pattern, text):
            return int(hit[group])
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


# ---- the store

class Store:
    """What fill made, and what it said about it."""

    def __init__(self, data, said):
        lines = [line.split() for line in said.splitlines()]
        self.data, self.ids = data, data / "ids"
        self.host = next(l[1] for l in lines if l[0] == "host")
        self.key = next(l[1] for l in lines if l[0] == "key")
        self.samples = [(int(l[1]), l[2], l[3]) for l in lines if l[0] == "session"]
        self.entry_bytes = next((int(l[1]) for l in lines if l[0] == "entry_bytes"), None)

    def line(self, index):
        """Of the file of ids; all are equally long."""
        with self.ids.open() as f:
            length = len(f.readline())
            f.seek(index * length)
            return f.readline().rstrip("\n")

    def request(self, proof, target="/resolve", method="GET", body=""):
        """With `@` where an id is to stand; `proof` is some of sid, key, cookie, token."""
        fields = [f"Host: {self.host}"]
        if "key" in proof:
            fields.append(f"X-Api-Key: {self.key}")
        if "sid" in proof:
            fields.append(f"Session-Id: SID:AUTH:{self.host}:" + "@" * 36)
        if "cookie" in proof:
            fields.append("Cookie: sidecart_session=" + "@" * 43)
        if "token" in proof:
            fields.append("Authorization: Bearer "
                          + "@" * (len(self.line(0)) - target.count("@")))
        if body:
            fields += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([f"{method} {target} HTTP/1.1", *fields, "", body]).encode()

    def ids_for(self, proof):
        return self.ids if proof in ("cookie", "token") else None


def xorshift(x):
    x ^= x << 13 & 0xffffffff
    x ^= x >> 17
    return x ^ x << 5 & 0xffffffff


def identifier(index):
    """Of a session by header, as in fill.c."""
    a = xorshift(index + 1)
    b = xorshift(a)
    c = xorshift(b)
    d = xorshift(c)
    b, c = b & 0xffff0fff | 0x4000, c & 0x3fffffff | 0x80000000
    return f"{a:08x}-{b >> 16:04x}-{b & 0xffff:04x}-{c >> 16:04x}-{c & 0xffff:04x}{d:08x}"


def put_id(request, drawn):
    """A request with this id in its places, as draw.lua puts it."""
    rest = drawn.encode()

    def take(run):
        nonlocal rest
        part, rest = rest[:len(run[0])], rest[len(run[0]):]
        return part
    return re.sub(rb"@+", take, request)


def make_store(o, kind, sessions=None, customers=None):
    """A store of sessions by `kind` (fill.c), one customer each; kept where --store says."""
    sessions, directory = sessions or o.sessions, o.store or o.scratch
    customers = customers or sessions
    data = directory / (f"{sessions}-{kind}" + f"-{customers}" * (customers != sessions))
    said = data.with_suffix(".txt")
    if said.exists() and time.time() - said.stat().st_mtime > DAY_S / 2:
        give_up(f"{data} is too old: its sessions would be renewed; remove it")
    if not said.exists():
        directory.mkdir(parents=True, exist_ok=True)
        progress(f"making {sessions:,} sessions by {kind}")
        started = time.monotonic()
        done = subprocess.run([o.build / "bench/fill", data, str(sessions), str(customers), kind],
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            give_up(f"no store was made in {data}")
        said.write_text(done.stdout)
        print(f"{sessions:,} sessions by {kind} made in {time.monotonic() - started:.0f} s",
              flush=True)
    return Store(data, said.read_text())


@contextlib.contextmanager
def sidecart(o, store, name="sidecart", program="sidecart", cores=SERVER_CORE, **settings):
    """On any free port; .ops is that of /metrics. Whoever has no API key may show a Session-Id."""
    settings = {"sid_trust": "any", "token_ttl": "1d", "ops_listen": "127.0.0.1:0", **settings}
    log = o.scratch / f"{name}.log"
    command = on_core(cores, o.build / program, "serve", f"--data={store.data}",
                      "--listen=127.0.0.1:0", *(f"--{k}={v}" for k, v in settings.items()))
    listening = r"listening address=127\.0\.0\.1:(\d+)"
    with running(command, log) as process:
        port = wait_for_port(process, log, listening)
        ops = wait_for_port(process, log, f"(?s){listening}.*{listening}", 2)
        server = Server(name, port, process)
        server.ops = ops
        yield server


def children(server, kind):
    """The pids of its processes of a kind: front, writer, hasher."""
    table, found = process_table(), []
    for pid in table:
        with contextlib.suppress(OSError):
            if (Path("/proc", str(pid), "comm").read_text().strip() == f"sidecart:{kind}"
                    and is_below(table, pid, {p.pid for p in server.processes})):
                found.append(pid)
    return found


def metrics(server):
    """Name and labels of each, to its value."""
    answer = ask(server.ops, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").decode()
    lines = answer.partition("\r\n\r\n")[2].splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in lines if line and line[0] != "#"}


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
    """What wrk sends: a request whose places are filled with an id drawn for each.

    `ids` is a file of ids of one length, a line each; None: the UUIDs of fill.c. `count` of
    them are drawn from, `draw` is "uniform", "log" or "turn": each is used once before any is
    used again. `rate` is per second; 0: as fast as answers come.
    """

    def __init__(self, request, ids, count, draw="log", depth=1, rate=0, connections=None):
        self.request, self.ids, self.count = request, ids, count
        self.draw, self.depth, self.rate, self.connections = draw, depth, rate, connections
        self.next = 0

    def start(self, o, server, seconds, seed, cores=LOAD_CORE):
        """wrk, on its way; to be handed to finish()."""
        template = o.scratch / f"template-{server.name}-{id(self)}"
        template.write_bytes(self.request)
        seed = self.next if self.draw == "turn" else seed + 1
        return subprocess.Popen(
            on_core(cores, "wrk", "-t1", f"-c{self.connections or o.connections}",
                    f"-d{seconds}s", "-s", HERE / "draw.lua", f"http://127.0.0.1:{server.port}/",
                    "--", template, self.ids or "uuid", self.count, self.draw, self.depth, seed,
                    self.rate), stdout=subprocess.PIPE, text=True)

    def finish(self, o, server, wrk):
        """What wrk counted, and the latency of a write and its answers."""
        try:
            out = wrk.communicate()[0]
        finally:
            wrk.kill()
        lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
        if wrk.returncode != 0 or "result" not in lines:
            give_up(f"wrk failed against {server.name}:\n{out}")
        result = {name: int(value) for name, value in (w.split("=") for w in lines["result"])}
        histogram = {int(us): int(n) for us, n in (w.split(":") for w in lines["latency"])}
        if result["errors"] or not result["requests"]:
            give_up(f"{server.name} answered wrongly:\n{out}")
        self.next += result["drawn"]
        connections = self.connections or o.connections
        interval = max(result["duration_us"] // max(result["requests"] // connections, 1), 1)
        result["p50_us"], result["p99_us"] = percentiles(histogram, interval, 50, 99)
        return result

    def send(self, o, server, seed):
        """One round."""
        return self.finish(o, server, self.start(o, server, o.seconds, seed))


def measure(server, send):
    """`send()` with the CPU time that `server` spent on it. `send` returns what a load does."""
    began, before, all_before, load_before = (time.monotonic(), server.cpu_s(), machine_cpu_s(),
                                              load_cpu_s())
    result = send()
    spent, load = server.cpu_s() - before, load_cpu_s() - load_before
    others = machine_cpu_s() - all_before - spent - load
    result["cpu_us"] = spent * 1e6 / result["requests"]
    result["load_us"] = load * 1e6 / result["requests"]
    result["others"] = max(others, 0) / (time.monotonic() - began)
    return result


def others_of(work):
    """What `work()` returns, and what other processes took of a core meanwhile."""
    began, before = time.monotonic(), machine_cpu_s() - load_cpu_s()
    result = work()
    others = machine_cpu_s() - load_cpu_s() - before
    return result, max(others, 0) / (time.monotonic() - began)


def interleave(o, entries):
    """Rounds of each in turns, every other time backwards; `entries` are of a server and a load."""
    results = {key: [] for key in entries}
    for n in range(o.rounds):
        order = list(entries.items())
        for key, (server, load) in order if n % 2 == 0 else reversed(order):
            progress(f"round {n + 1} of {o.rounds}: {key}")
            results[key].append(measure(server, lambda: load.send(o, server, n)))
    return results


def warm_up(o, server, load):
    """Until nearly every page of the store was touched once."""
    load = Load(load.request, load.ids, load.count, "uniform", 16)
    requests, seed = 0, 1000
    while requests < load.count and seed < 1030:
        progress(f"warming {server.name}")
        requests += load.finish(o, server, load.start(o, server, 2, seed))["requests"]
        seed += 1


# ---- figures

def middle(rounds, name):
    return statistics.median(r[name] for r in rounds)


def rates(rounds):
    """Requests a second."""
    return [r["requests"] * 1e6 / r["duration_us"] for r in rounds]


def rate(rounds):
    return statistics.median(rates(rounds))


def number(value):
    """Four digits are enough."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 20 else \
        f"{value:.2f}"


def spread(values):
    return (f"{number(statistics.median(values))} "
            f"[{number(min(values))}-{number(max(values))}]")


def ratios(floor, rounds, name="cpu_us"):
    """Round by round, since the machine changes between them."""
    return [b[name] / a[name] for a, b in zip(floor, rounds)]


def differences(floor, rounds, name="cpu_us"):
    return [b[name] - a[name] for a, b in zip(floor, rounds)]


class Figure:
    """A figure of a case, round by round, and what it should be: at most, or at least, so much."""

    def __init__(self, name, values, most=None, least=None):
        self.name, self.values = name, values
        self.most, self.least = most, least

    @property
    def target(self):
        if self.most is not None:
            return f"at most {self.most:g}"
        return "" if self.least is None else f"at least {self.least:g}"

    def verdict(self, others):
        """Of a machine on which others worked there is none."""
        if not self.target:
            return ""
        if others > DISTURBED:
            return "disturbed"
        value = statistics.median(self.values)
        met = value <= self.most if self.most is not None else value >= self.least
        return "pass" if met else "fall-short"


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, "
            f"{platform.system()} {platform.release()}")


def commit():
    """With `-dirty` behind it where what is measured was changed."""
    def git(*words):
        said = subprocess.run(["git", "-C", ROOT, *words], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, check=False)
        return said.stdout.strip()
    changed = git("status", "--porcelain", "-uno", "--", ".",
                  *(f":!{name}" for name in WRITTEN_HERE))
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if changed else "")


def remember(o, case, server, rounds, figures, others):
    """Appends a line for each figure."""
    history = QUICK_HISTORY if o.quick else HISTORY
    history.parent.mkdir(parents=True, exist_ok=True)
    if not history.exists():
        history.write_text(HISTORY_HEAD)
    def column(name, of=statistics.median):
        known = [r[name] for r in rounds if name in r]
        return f"{of(known):.3f}" if known else ""
    head = [time.strftime("%Y-%m-%d"), commit(), machine(), case, server,
            column("cpu_us"), column("cpu_us", min), column("cpu_us", max), column("p50_us"),
            column("p99_us"), f"{rate(rounds):.0f}" if rounds else "", f"{others:.3f}"]
    with history.open("a") as out:
        for f in figures or [Figure("", [])]:
            values = [f"{of(f.values):.3f}" for of in (statistics.median, min, max)] \
                if f.values else ["", "", ""]
            csv.writer(out, lineterminator="\n").writerow(
                [*head, f.name, *values, f.target, f.verdict(others)])


def print_head(o, text):
    print(f"{machine()}; servers on core {SERVER_CORE}, load on core {LOAD_CORE}\n"
          f"{o.connections} connections; {o.rounds} rounds of {o.seconds} s of each, in turns: "
          "median [least-most]; p50 and p99\nof one write and its answers, in us, as the load sees it; "
          "others: what other processes took of a core\nmeanwhile, which should be next to "
          f"nothing. {text}\n"
          f"{'case':<20} {'server':<16}{'CPU us':<22}{'p50':>7}{'p99':>8}{'req/s':>11} others  "
          "distinct ids of drawn", flush=True)


def report(o, case, server, rounds, *figures, others=None):
    """A line of a case and server, one for each of its figures, and the same in the history.
    `others`: of all rounds that the figures come from, where those are not `rounds` alone."""
    if others is None:
        others = middle(rounds, "others")
    drawn = (f"{middle(rounds, 'distinct'):>10,.0f} of {middle(rounds, 'drawn'):,.0f}"
             if "drawn" in rounds[0] else "")
    print(f"{case:<20} {server:<16}{spread([r['cpu_us'] for r in rounds]):<22}"
          f"{middle(rounds, 'p50_us'):>7,.0f}{middle(rounds, 'p99_us'):>8,.0f}"
          f"{rate(rounds):>11,.0f}{others:>7.0%}{drawn}"
          + ("  disturbed" if others > DISTURBED else ""), flush=True)
    report_figures(o, case, server, figures, others, rounds)


def report_figures(o, case, server, figures, others, rounds=()):
    """A line for each figure, and the same in the history; alone where no load was sent."""
    for f in figures:
        print(f"{'':<20} {f.name:<37}{spread(f.values):<24}{f.target:<15}"
              f"{f.verdict(others)}".rstrip(), flush=True)
    if o.history:
        remember(o, case, server, rounds, figures, others)


def need_two_cores():
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        give_up("needs two cores: one for the server, one for the load")
    os.sched_setaffinity(0, {LOAD_CORE})
