"""The slot tables of docs/tables.md, written from the document alone: the oracle for the C++ code."""
import ipaddress

M64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
TIE, DRAW, OFFSET, SKIP = 1, 2, 3, 4


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & M64
    return x ^ x >> 31


def address_bytes(address):
    address = ipaddress.ip_address(address)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def identity_hash(address, purpose):
    low, high = int.from_bytes(address[:8], "little"), int.from_bytes(address[8:], "little")
    return mix(mix(low + GOLDEN * purpose & M64) + high & M64)


def quotas(backends, slot_count):
    """backends: [(16 bytes, weight)] with a weight above 0."""
    weight_sum = sum(weight for _, weight in backends)
    due = [slot_count * weight // weight_sum for _, weight in backends]
    by_remainder = sorted(range(len(backends)), key=lambda i: (-(slot_count * backends[i][1] % weight_sum),
                                                               identity_hash(backends[i][0], TIE), backends[i][0]))
    for i in by_remainder[:slot_count - sum(due)]:
        due[i] += 1
    return due


def in_turn_order(backends, turns):
    weight_max = max(weight for _, weight in backends)
    return [i for _, i in sorted((-(-k * weight_max // backends[i][1]), i)
                                 for i in range(len(backends)) for k in range(1, turns[i] + 1))]


def slot_table(weighted, slot_count):
    """weighted: [(address text, weight)]. The owner of each slot as a position in it; [] if nobody has a weight."""
    position = {address_bytes(address): i for i, (address, _) in enumerate(weighted)}
    backends = sorted((address_bytes(address), weight) for address, weight in weighted if weight)
    if not backends:
        return []
    missing = quotas(backends, slot_count)
    weight_sum, weight_max = sum(w for _, w in backends), max(w for _, w in backends)
    slots = [None] * slot_count

    rounds = 5298 * slot_count * weight_max // (1000 * weight_sum)
    draws = [identity_hash(address, DRAW) for address, _ in backends]
    for i in in_turn_order(backends, [rounds * weight // weight_max for _, weight in backends]):
        if missing[i] == 0:
            continue
        draws[i] = draws[i] + GOLDEN & M64
        slot = (mix(draws[i]) >> 32) * slot_count >> 32
        if slots[slot] is None:
            slots[slot] = i
            missing[i] -= 1

    at = [identity_hash(address, OFFSET) % slot_count for address, _ in backends]
    skip = [identity_hash(address, SKIP) % (slot_count - 1) + 1 if slot_count > 2 else 1 for address, _ in backends]
    for i in in_turn_order(backends, missing):
        while slots[at[i]] is not None:
            at[i] = (at[i] + skip[i]) % slot_count
        slots[at[i]] = i
    return [position[backends[i][0]] for i in slots]
