"""Produces one record with each codec: produce_folded.py BOOTSTRAP TOPIC"""

import sys

from confluent_kafka import Producer

bootstrap, topic = sys.argv[1:]
for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec})
    producer.produce(topic, (codec * 100).encode(), partition=0)
    if producer.flush(30):
        sys.exit(f"the record with {codec} was not acknowledged")
print(f"produced to {topic}")
