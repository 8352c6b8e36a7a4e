"""TCP load: nginx on the backend, wrk on the client, both on the core that is not the balancer's."""
import re

import guideway
import host

CONNECTIONS = 64
FILE_MIB = 1
UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "us": 1, "ms": 1e3, "s": 1e6}
BYTE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}  # as wrk has them


def start_server(programs, network):
    directory = programs.directory
    (directory / "file").write_bytes(bytes(FILE_MIB << 20))
    directory.chmod(0o755)
    file = directory / "nginx.conf"
    file.write_text(f"""daemon off;
user root;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen {guideway.PORT} backlog=4096;
    root {directory};
    location = / {{ return 200 "ok\\n"; }}
    location = /file {{ }}
  }}
}}
""")
    programs.start("nginx", "nginx", "-c", file, "-e", directory / "nginx-error.log", netns=network.backend,
                   core=host.LOAD_CORE)


def answers(network):
    url = f"http://{guideway.VIP}:{guideway.PORT}/"
    try:
        return host.run("curl", "-s", "-m", "1", url, netns=network.client) == "ok\n"
    except host.LabError:
        return False


def load(network, seconds, path, *options):
    """What wrk says, and the share of the time that each core was busy."""
    busy = {core: host.BusyTime(core) for core in (host.BALANCER_CORE, host.LOAD_CORE)}
    text = host.run("taskset", "-c", host.LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency",
                    *options, f"http://{guideway.VIP}:{guideway.PORT}{path}", netns=network.client)
    return text, {"balancer_busy": busy[host.BALANCER_CORE].share(), "load_busy": busy[host.LOAD_CORE].share()}


def figure(pattern, text, units=None):
    number, unit = re.search(pattern + r"\s+([\d.]+)([A-Za-z]*)", text).groups()
    return float(number) * (units or UNITS)[unit.removesuffix("B") if units else unit]


def failures(text):
    """Connections that failed, and answers that were no 2xx."""
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    others = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return sum(int(n) for found in (errors, others) if found for n in found.groups())


def measure(network, effort):
    """One repetition of a row: a connection for each request, then large answers over connections that last."""
    host.wait_until(lambda: answers(network), "the first answer through the balancer")
    short, short_busy = load(network, effort.tcp_seconds, "/", "-H", "Connection: close")
    large, large_busy = load(network, effort.tcp_seconds, "/file")
    return {"connections_per_s": figure("Requests/sec:", short),
            "request_us": {name: figure(f"{name[1:]}%", short) for name in ("p50", "p99")},
            "failed": failures(short) + failures(large), **short_busy,
            "bits_per_s": 8 * figure("Transfer/sec:", large, BYTE_UNITS),
            **{f"{name}_large": share for name, share in large_busy.items()}}
