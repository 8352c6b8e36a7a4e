"""Reads and writes pcap files of Ethernet frames, a million at a time."""
import struct

GLOBAL_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
RECORD = struct.Struct("<IIII")


def write_pcap(path, timed_frames):
    """timed_frames: (seconds, frame) each."""
    with open(path, "wb") as file:
        file.write(GLOBAL_HEADER)
        for time, frame in timed_frames:
            file.write(RECORD.pack(*divmod(round(time * 1e6), 10**6), len(frame), len(frame)) + frame)


def read_pcap(path):
    """The frames. Times are left out; files of either byte order and resolution will do."""
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    length_field, frames, at = struct.Struct(order + "I"), [], len(GLOBAL_HEADER)
    while at < len(data):
        begin = at + RECORD.size
        at = begin + length_field.unpack_from(data, at + 8)[0]
        frames.append(data[begin:at])
    return frames
