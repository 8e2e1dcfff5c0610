"""Drives a broker with confluent-kafka (librdkafka): drive_confluent.py BOOTSTRAP RECORDS."""

import sys
import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import ConsumerGroupTopicPartitions as GroupOffsets
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from steps import BOUND_SECONDS, Steps, equal, until

BOOTSTRAP = sys.argv[1]
RECORDS = int(sys.argv[2])
RUN = uuid.uuid4().hex[:8]
PARTITIONS = 3


def value(number):
    return b"value-%d-" % number + b"abc" * (number % 50)


def client_settings(**settings):
    return {"bootstrap.servers": BOOTSTRAP, **{key.replace("_", "."): value for key, value in settings.items()}}


def wait_all(futures):
    for future in futures.values():
        future.result(BOUND_SECONDS)


def create(topic):
    admin = AdminClient(client_settings())
    wait_all(admin.create_topics([NewTopic(topic, PARTITIONS, 1)]))


def produce(topic, codec, idempotent):
    producer = Producer(client_settings(compression_type=codec, enable_idempotence=idempotent))
    delivered = []

    def on_delivery(error, message):
        if error is not None:
            raise KafkaException(error)
        delivered.append((message.partition(), message.offset()))

    for number in range(RECORDS):
        producer.produce(
            topic,
            value(number),
            key=b"%d" % number,
            partition=number % PARTITIONS,
            headers={"n": b"%d" % number},
            on_delivery=on_delivery,
        )
        producer.poll(0)
    equal(0, producer.flush(BOUND_SECONDS), "undelivered records")
    equal(RECORDS, len(set(delivered)), "delivered records")


def consume(topic):
    consumer = Consumer(client_settings(group_id=f"group-of-{topic}", auto_offset_reset="earliest"))
    consumer.subscribe([topic])
    found = []

    def all_are_here():
        for message in consumer.consume(500, timeout=0.2):
            if message.error():
                raise KafkaException(message.error())
            found.append(message)
        return len(found) >= RECORDS

    until("all records", all_are_here)
    equal(RECORDS, len(found), "records")
    for message in found:
        number = message.offset() * PARTITIONS + message.partition()
        equal(b"%d" % number, message.key(), "key")
        equal(value(number), message.value(), "value")
        equal([("n", b"%d" % number)], message.headers(), "headers")
    consumer.commit(asynchronous=False)
    committed = sum(found.offset for found in consumer.committed(consumer.assignment(), timeout=BOUND_SECONDS))
    equal(RECORDS, committed, "committed offsets")
    consumer.close()


def admin_tour(steps):
    admin = AdminClient(client_settings())
    topic = f"confluent-admin-{RUN}"
    group = f"confluent-group-{RUN}"
    resource = ConfigResource(ResourceType.TOPIC, topic)
    partition = TopicPartition(topic, 0)

    def partitions():
        return admin.list_topics(timeout=BOUND_SECONDS).topics.get(topic)

    def create_topic():
        wanted = NewTopic(topic, 2, 1, config={"retention.ms": "3600000"})
        wait_all(admin.create_topics([wanted]))
        equal(2, len(partitions().partitions), "partitions")
        try:
            wait_all(admin.create_topics([wanted]))
        except KafkaException as error:
            equal("TOPIC_ALREADY_EXISTS", error.args[0].name(), "error")
        else:
            raise AssertionError("created twice")

    def retention():
        (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        return future.result(BOUND_SECONDS)["retention.ms"].value

    def alter_configs():
        equal("3600000", retention(), "retention.ms")
        entry = ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        wait_all(admin.incremental_alter_configs([resource]))
        until("the new value", lambda: retention() == "7200000")

    def create_partitions():
        wait_all(admin.create_partitions([NewPartitions(topic, 4)]))
        until("four partitions", lambda: len(partitions().partitions) == 4)

    def offset(spec):
        (future,) = admin.list_offsets({partition: spec}).values()
        return future.result(BOUND_SECONDS).offset

    def offsets():
        producer = Producer(client_settings())
        for number in range(10):
            producer.produce(topic, b"value", partition=0, timestamp=1000 + number)
        equal(0, producer.flush(BOUND_SECONDS), "undelivered records")
        equal(0, offset(OffsetSpec.earliest()), "earliest")
        equal(10, offset(OffsetSpec.latest()), "latest")
        equal(9, offset(OffsetSpec.max_timestamp()), "the largest timestamp")
        equal(4, offset(OffsetSpec.for_timestamp(1004)), "a time")
        wait_all(admin.delete_records([TopicPartition(topic, 0, 6)]))
        equal(6, offset(OffsetSpec.earliest()), "earliest after deletion")

    def groups():
        committed = GroupOffsets(group, [TopicPartition(topic, 0, 7)])
        wait_all(admin.alter_consumer_group_offsets([committed]))
        (future,) = admin.list_consumer_group_offsets([GroupOffsets(group)]).values()
        equal(7, future.result(BOUND_SECONDS).topic_partitions[0].offset, "offset")
        listed = admin.list_consumer_groups().result(BOUND_SECONDS)
        assert group in [found.group_id for found in listed.valid]
        (future,) = admin.describe_consumer_groups([group]).values()
        equal(group, future.result(BOUND_SECONDS).group_id, "described group")
        wait_all(admin.delete_consumer_groups([group]))

    def cluster():
        assert admin.describe_cluster().result(BOUND_SECONDS).nodes

    def delete():
        wait_all(admin.delete_topics([topic]))
        until("the topic is gone", lambda: topic not in admin.list_topics(timeout=BOUND_SECONDS).topics)

    steps.step("admin: create topic", create_topic)
    steps.step("admin: alter configs", alter_configs)
    steps.step("admin: create partitions", create_partitions)
    steps.step("admin: list offsets and delete records", offsets)
    steps.step("admin: groups", groups)
    steps.step("admin: describe cluster", cluster)
    steps.step("admin: delete topic", delete)


def main():
    steps = Steps()
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        topic = f"confluent-{codec}-{RUN}"
        steps.step(f"create {topic}", create, topic)
        steps.step(f"produce {codec}", produce, topic, codec, codec != "none")
        steps.step(f"consume {codec}", consume, topic)
    admin_tour(steps)
    steps.finish()


main()
