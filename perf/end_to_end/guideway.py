"""Guideway's two programs with a configuration, as an operator would start them."""
import host

VIP = "203.0.113.10"
PORT = 80
MAC = "02:00:00:00:00:02"        # of the load balancer, where it can be chosen
NEXT_HOP = "02:00:00:00:01:00"   # behind which backends are, where no kernel knows
BACKENDS = 8


def configuration(directory, ports, encap, addresses, hugepages):
    backends = ", ".join(f'{{ name = "b{i}", address = "{address}" }}' for i, address in enumerate(addresses))
    vips = "".join(f'[vip.{protocol}]\naddress = "{VIP}"\nport = {PORT}\nprotocol = "{protocol}"\npool = "all"\n'
                   for protocol in ("udp", "tcp"))
    return f"""schema = 1
[dataplane]
main_core = {host.LOAD_CORE}
worker_cores = [{host.BALANCER_CORE}]
hugepages = "{'on' if hugepages else 'off'}"
memory = "256MiB"
{"".join(ports)}
[pool.all]
encap = "{encap}"
backends = [{backends}]
{vips}
[control]
run_dir = "{directory}/run"
state_dir = "{directory}/state"
"""


def start(programs, ports, encap, addresses, hugepages, netns=None):
    directory = programs.directory
    (directory / "state").mkdir(exist_ok=True)
    file = directory / "guideway.toml"
    file.write_text(configuration(directory, ports, encap, addresses, hugepages))
    programs.start("dataplane", programs.build / "dataplane/guideway-dataplane", "--config", file, netns=netns)
    programs.start("controlplane", programs.build / "controlplane/guideway-controlplane", "--config", file, netns=netns,
                   core=host.LOAD_CORE)
    programs.wait_for("dataplane", "forwarding on")
