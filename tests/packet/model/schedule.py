"""Which slot a flow belongs to, and which backend a new one gets: the schedulers of docs/packet_policy.md, section 11."""
import collections
import fractions

from flow_hash_model import slot_of

STEP = 0x9E3779B1  # from one turn of round-robin to the next, in slots


def first_bits(address, bits):
    number = int.from_bytes(address, "big") >> 8 * len(address) - bits << 8 * len(address) - bits
    return number.to_bytes(len(address), "big")


def slot_of_flow(pool, flow, value, flow_hash):
    """flow: as flow_hash takes it. value: its hash."""
    if pool.scheduler == "source-hash":
        source = flow[0]
        bits = pool.source_bits[4 if len(source) == 4 else 6]
        value = flow_hash(first_bits(source, bits), bytes(len(source)), 0, 0, 0)
    return slot_of(value, pool.slots)


class Scheduler:
    """Of one worker. flows: how many are remembered, by pool and the backend's position."""

    def __init__(self):
        self.turn, self.flows = 0, collections.Counter()

    def backend_of_new(self, service, slot):
        """Its position; None if the pool has none for new flows."""
        if not service.is_usable():
            return None
        if service.pool.scheduler == "round-robin":
            slot, self.turn = self.turn * STEP % service.pool.slots, self.turn + 1
        elif service.pool.scheduler == "least-connections":
            return self.least_loaded(service)
        return service.owner_of(slot)

    def least_loaded(self, service):
        weights = [backend.weight_in_force() for backend in service.pool.backends]
        return min((place for place, weight in enumerate(weights) if weight), key=lambda place: fractions.Fraction(
            self.flows[service.vip.pool, place] + 1, weights[place]))
