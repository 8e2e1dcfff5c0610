"""A load that outlives broker crashes, and its check, with librdkafka.

load_confluent.py produce|verify BOOTSTRAP TOPIC RECORDS ACKS_FILE; the file has one line "number partition offset"
for each acknowledged record.
"""

import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from steps import equal, until

PARTITIONS = 4
PROGRESS_EVERY = 250
FLUSH_SECONDS = 120


def produce(bootstrap, topic, records, acks_path):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        future.result()
    acknowledged = []
    failures = []

    def on_delivery(error, message):
        if error is not None:
            failures.append(str(error))
            print(f"FAIL {error}", flush=True)
            return
        number = message.value().split(b"-", 1)[0].decode()
        acknowledged.append(f"{number} {message.partition()} {message.offset()}\n")
        if len(acknowledged) % PROGRESS_EVERY == 0:
            print(f"acked {len(acknowledged)}", flush=True)

    # Small batches and a short queue, so that a crash hits many requests in flight.
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "batch.num.messages": 20,
            "linger.ms": 1,
            "reconnect.backoff.max.ms": 200,
            "queue.buffering.max.messages": 1000,
        }
    )
    for number in range(records):
        while True:
            try:
                producer.produce(
                    topic, b"%d-" % number + b"x" * 200, partition=number % PARTITIONS, on_delivery=on_delivery
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    equal(0, producer.flush(FLUSH_SECONDS), "records without an answer")
    with open(acks_path, "w", encoding="utf-8") as acks:
        acks.writelines(acknowledged)
    print(f"produced {len(acknowledged)} failed {len(failures)}", flush=True)
    sys.exit(0 if len(acknowledged) == records else 1)


def verify(bootstrap, topic, records, acks_path):
    places = read_all(bootstrap, topic)
    with open(acks_path, encoding="utf-8") as acks:
        for line in acks:
            number, partition, offset = map(int, line.split())
            equal((partition, offset), places.get(number), f"place of record {number}")
    print(f"verified {len(places)} of {records}", flush=True)
    equal(records, len(places), "records")


def read_all(bootstrap, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "check.crcs": True})
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=60)[1] for n in range(PARTITIONS)]
    consumer.assign([TopicPartition(topic, n, 0) for n in range(PARTITIONS)])
    next_offsets = [0] * PARTITIONS
    places = {}

    def all_are_read():
        for message in consumer.consume(1000, timeout=0.2):
            if message.error():
                raise KafkaException(message.error())
            partition, offset = message.partition(), message.offset()
            equal(next_offsets[partition], offset, f"offset in {partition}")
            next_offsets[partition] += 1
            number = int(message.value().split(b"-", 1)[0])
            equal(None, places.get(number), f"an earlier place of record {number}")
            places[number] = (partition, offset)
        return next_offsets == ends

    until("the end of all partitions", all_are_read)
    consumer.close()
    return places


if sys.argv[1] == "produce":
    produce(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
else:
    verify(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
