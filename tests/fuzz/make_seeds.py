"""Writes the seeds of the fuzz targets: what is known to be dangerous, and something well-formed of every kind.

Usage: python3 make_seeds.py KAFKA_CLIENTS_JAR (for the list of versions of every request)
"""

import gzip
import json
import pathlib
import re
import struct
import sys
import zipfile

SEEDS = pathlib.Path(__file__).parent / "seeds"
SERVED = [
    "Produce", "Fetch", "ListOffsets", "Metadata", "OffsetCommit", "OffsetFetch", "FindCoordinator", "JoinGroup",
    "Heartbeat", "LeaveGroup", "SyncGroup", "DescribeGroups", "ListGroups", "ApiVersions", "CreateTopics",
    "DeleteTopics", "DeleteRecords", "InitProducerId", "OffsetForLeaderEpoch", "DescribeAcls", "CreateAcls",
    "DeleteAcls", "DescribeConfigs", "AlterConfigs", "DescribeLogDirs", "CreatePartitions", "DeleteGroups",
    "IncrementalAlterConfigs", "OffsetDelete", "DescribeCluster",
]


def save(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def zigzag(value):
    return varint((value << 1) ^ (value >> 63))


def frame(key, version, flexible, body):
    return struct.pack(">hhih", key, version, 1, -1) + (b"\0" if flexible else b"") + body


def requests(jar):
    for name in SERVED:
        text = zipfile.ZipFile(jar).read(f"common/message/{name}Request.json").decode()
        schema = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
        first, _, last = schema["validVersions"].partition("-")
        flexible = schema["flexibleVersions"]
        threshold = int(flexible.rstrip("+")) if flexible != "none" else 99
        for version in {int(first), int(last or first), min(threshold, int(last or first))}:
            is_flexible = version >= threshold
            kind = f"{schema['apiKey']:02}_v{version:02}"
            save("kafka_frame", f"{kind}_zeros", frame(schema["apiKey"], version, is_flexible, bytes(48)))
            most = varint(0xFFFFFFFF) if is_flexible else b"\x7f\xff\xff\xff"
            save("kafka_frame", f"{kind}_counts", frame(schema["apiKey"], version, is_flexible, most * 6))


def record(delta, value):
    body = b"\0" + zigzag(delta) + zigzag(delta) + zigzag(-1) + zigzag(len(value)) + value + zigzag(0)
    return zigzag(len(body)) + body


def batch(codec, count, folded):
    head = struct.pack(">qiibIhiqqqhii", 0, 49 + len(folded), 0, 2, 0, codec, count - 1, 0, 0, -1, -1, -1, count)
    return head + folded


def main():
    save("kafka_frame", "eight_bytes_of_metadata", bytes.fromhex("0003000000000001") + b"\xff\xff\x7f\xff\xff\xff")
    save("kafka_frame", "short", b"\0\x03\0")
    save("kafka_frame", "stream", b"\0\0\0\x0e" + bytes.fromhex("0012000000000001") + b"\xff\xff" + bytes(4))
    requests(sys.argv[1])
    plain = b"".join(record(delta, b"value") for delta in range(5))
    save("record_batch", "plain", batch(0, 5, plain))
    save("record_batch", "two", batch(0, 5, plain) + batch(0, 5, plain))
    save("record_batch", "count", batch(0, 0x7FFFFFFF, plain))
    save("records", "plain", b"\0" + plain)
    save("records", "gzip", b"\1" + gzip.compress(plain, mtime=0))
    save("records", "gzip_bomb", b"\1" + gzip.compress(zigzag(1 << 33) + bytes(8 << 20), mtime=0))
    save("records", "snappy_claims", b"\2" + varint(0xFFFFFFFF) + plain)
    save("records", "xerial", b"\2\x82SNAPPY\0" + struct.pack(">iii", 1, 1, 0x7FFFFFFF))
    save("records", "lz4", b"\3" + bytes.fromhex("04224d18") + b"\x64\x40\xa7" + struct.pack("<I", 0x80000005) + b"value")
    save("records", "zstd_window", b"\4" + bytes.fromhex("28b52ffd00a8") + bytes(8))
    save("records", "zstd_segment", b"\4" + bytes.fromhex("28b52ffda0ffffffff") + bytes(8))
    save("records", "huge_record", b"\0" + zigzag(1 << 62) + plain)
    offset_key = struct.pack(">hh", 1, 1) + b"g" + struct.pack(">h", 1) + b"t" + struct.pack(">i", 0)
    offset_value = struct.pack(">hqih", 3, 42, 7, 1) + b"m" + struct.pack(">q", 0)
    save("consumer_offsets_record", "offset", bytes([len(offset_key)]) + offset_key + offset_value)
    group_key = struct.pack(">hh", 2, 1) + b"g"
    group_value = struct.pack(">hh", 3, 8) + b"consumer" + struct.pack(">ihhqi", 1, -1, -1, 0, 0x7FFFFFFF)
    save("consumer_offsets_record", "group_with_many_members", bytes([len(group_key)]) + group_key + group_value)
    save("wal_segment", "zeros", bytes(8192))


main()
