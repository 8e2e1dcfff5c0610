"""Drives a broker with kafka-python: drive_kafka_python.py BOOTSTRAP RECORDS."""

import sys
import uuid

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from steps import Steps, equal, until

BOOTSTRAP = sys.argv[1]
RECORDS = int(sys.argv[2])
RUN = uuid.uuid4().hex[:8]
PARTITIONS = 3


def value(number):
    return b"value-%d-" % number + b"abc" * (number % 50)


def create(topic, partitions=PARTITIONS):
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    admin.create_topics(
        {topic: {"num_partitions": partitions, "replication_factor": 1}}, wait_for_metadata=True
    )
    admin.close()


def produce(topic, codec):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec)
    futures = [
        producer.send(topic, value(n), key=b"%d" % n, partition=n % PARTITIONS, headers=[("n", b"%d" % n)])
        for n in range(RECORDS)
    ]
    producer.flush()
    next_offsets = [0] * PARTITIONS
    for future in futures:
        metadata = future.get(timeout=60)
        equal(next_offsets[metadata.partition], metadata.offset, f"offset in {metadata.partition}")
        next_offsets[metadata.partition] += 1
    producer.close()


def consume(topic):
    consumer = KafkaConsumer(
        topic, bootstrap_servers=BOOTSTRAP, group_id=f"group-of-{topic}", auto_offset_reset="earliest"
    )
    found = []

    def all_are_here():
        # A poll that runs out of time while the client reads its assignment loses it for good, so it gets enough.
        for records in consumer.poll(timeout_ms=5000).values():
            found.extend(records)
        return len(found) >= RECORDS

    until("all records", all_are_here)
    equal(RECORDS, len(found), "records")
    for record in found:
        number = record.offset * PARTITIONS + record.partition
        equal(b"%d" % number, record.key, "key")
        equal(value(number), record.value, "value")
        equal([("n", b"%d" % number)], list(record.headers), "headers")
    consumer.commit()
    committed = sum(consumer.committed(partition) for partition in consumer.assignment())
    equal(RECORDS, committed, "committed offsets")
    consumer.close()


def admin_tour(steps):
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    topic = f"kafka-python-admin-{RUN}"
    group = f"kafka-python-group-{RUN}"
    partition = TopicPartition(topic, 0)

    def create_topic():
        wanted = {topic: {"num_partitions": 2, "replication_factor": 1, "configs": {"retention.ms": "3600000"}}}
        admin.create_topics(wanted, wait_for_metadata=True)
        try:
            admin.create_topics(wanted)
        except TopicAlreadyExistsError:
            return
        raise AssertionError("created twice")

    def describe():
        assert topic in admin.list_topics()
        (found,) = admin.describe_topics([topic])
        equal(2, len(found["partitions"]), "partitions")
        assert admin.describe_cluster()["brokers"]

    def retention():
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        return str(admin.describe_configs([resource], config_filter="all")).count("7200000")

    def alter_configs(incremental):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "7200000"})
        admin.alter_configs([resource], incremental=incremental)
        until("the new value", retention)
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "3600000"})
        admin.alter_configs([resource], incremental=incremental)
        until("the old value", lambda: not retention())

    def create_partitions():
        admin.create_partitions({topic: 4})
        until("four partitions", lambda: len(admin.describe_topics([topic])[0]["partitions"]) == 4)

    def offsets():
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
        for number in range(10):
            producer.send(topic, b"value", partition=0, timestamp_ms=1000 + number).get(timeout=60)
        producer.close()
        for spec, expected in [(OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 10), (1004, 4)]:
            found = admin.list_partition_offsets({partition: spec})
            equal(expected, found[partition].offset, f"offset of {spec}")
        admin.delete_records({partition: 6})
        equal(6, admin.list_partition_offsets({partition: OffsetSpec.EARLIEST})[partition].offset, "earliest")

    def groups():
        admin.alter_group_offsets(group, {partition: OffsetAndMetadata(7, "note", -1)})
        equal(7, admin.list_group_offsets({group: [partition]})[group][partition].offset, "offset")
        assert group in str(admin.list_groups())
        assert group in str(admin.describe_groups([group]))
        admin.delete_group_offsets(group, [partition])
        admin.delete_groups([group])
        assert group not in str(admin.list_groups())

    def delete():
        admin.delete_topics([topic])
        until("the topic is gone", lambda: topic not in admin.list_topics())

    steps.step("admin: create topic", create_topic)
    steps.step("admin: describe", describe)
    steps.step("admin: alter configs", alter_configs, False)
    steps.step("admin: alter configs incrementally", alter_configs, True)
    steps.step("admin: create partitions", create_partitions)
    steps.step("admin: list offsets and delete records", offsets)
    steps.step("admin: groups", groups)
    steps.step("admin: describe log dirs", admin.describe_log_dirs)
    steps.step("admin: delete topic", delete)
    admin.close()


def main():
    steps = Steps()
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        topic = f"kafka-python-{codec}-{RUN}"
        steps.step(f"create {topic}", create, topic)
        steps.step(f"produce {codec}", produce, topic, codec)
        steps.step(f"consume {codec}", consume, topic)
    admin_tour(steps)
    steps.finish()


main()
