"""Consumes one record as a group, commits it and leaves: commit_one.py BOOTSTRAP TOPIC GROUP"""

import sys

from confluent_kafka import Consumer

bootstrap, topic, group = sys.argv[1:]
settings = {
    "bootstrap.servers": bootstrap,
    "group.id": group,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
}
consumer = Consumer(settings)
consumer.subscribe([topic])
record = consumer.poll(30)
if record is None or record.error():
    sys.exit(f"no record: {record and record.error()}")
consumer.commit(record, asynchronous=False)
consumer.close()
print(f"{group} committed {record.offset() + 1} of {topic}")
