"""A compacted topic and a model of it, with librdkafka.

compacted_confluent.py create BOOTSTRAP TOPIC
compacted_confluent.py write  BOOTSTRAP TOPIC MODEL SEED RECORDS CODEC
compacted_confluent.py verify BOOTSTRAP TOPIC MODEL

MODEL is a file with the newest value of each key. `write` adds what was acknowledged; `verify` reads the topic from its
beginning, compares, and prints how many records it saw and how many there ever were.
"""

import json
import os
import random
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from steps import equal

KEYS = 400
TIMEOUT_SECONDS = 60
CONFIG = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
}


def create(bootstrap, topic):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, 1, 3, config=CONFIG)]).values():
        future.result()


def load_model(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(bootstrap, topic, path, seed, records, codec):
    model = load_model(path)
    choose = random.Random(int(seed))
    failures = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": codec,
            "linger.ms": 5,
            "batch.num.messages": 50,
        }
    )

    def on_delivery(error, _message):
        if error is not None:
            failures.append(str(error))

    for number in range(int(records)):
        key = f"key-{choose.randrange(KEYS)}"
        value = None
        if choose.random() > 0.2:
            value = f"{seed}-{number}-" + choose.randbytes(300).hex()
        model[key] = value
        while True:
            try:
                producer.produce(topic, key=key, value=value, partition=0, on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    equal(0, producer.flush(TIMEOUT_SECONDS), "records that nobody acknowledged")
    equal([], failures[:3], "failed records")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(model, file)


def verify(bootstrap, topic, path):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "compaction",
            "enable.auto.commit": False,
            "check.crcs": True,
            "enable.partition.eof": True,
        }
    )
    partition = TopicPartition(topic, 0, OFFSET_BEGINNING)
    consumer.assign([partition])
    found, seen, last = {}, 0, -1
    while True:
        message = consumer.poll(TIMEOUT_SECONDS)
        if message is None:
            raise SystemExit(f"nothing came after offset {last}")
        if message.error() is not None:
            if message.error().name() == "_PARTITION_EOF":
                end = message.offset()
                break
            raise KafkaException(message.error())
        assert message.offset() > last, "offsets rise"
        last, seen = message.offset(), seen + 1
        value = message.value()
        found[message.key().decode()] = None if value is None else value.decode()
    consumer.close()
    newest = {key: value for key, value in found.items() if value is not None}
    expected = {key: value for key, value in load_model(path).items() if value is not None}
    equal(sorted(expected), sorted(newest), "keys")
    differ = [key for key in expected if newest[key] != expected[key]]
    equal([], differ, "values that differ")
    print(f"seen {seen} of {end}", flush=True)


{"create": create, "write": write, "verify": verify}[sys.argv[1]](*sys.argv[2:])
