"""An idempotent producer with defaults that writes numbered records to every partition and tells what was acknowledged.

idempotent_load.py confluent|kafka-python BOOTSTRAP TOPIC PARTITIONS RATE NAME; RATE is records per second and partition.
The value is "NAME PARTITION NUMBER". Prints "ack PARTITION NUMBER OFFSET" for each acknowledged record; after the line
"stop" on its input, waits for what is open and prints "sent N failed M".
"""

import sys
import threading
import time

FLUSH_SECONDS = 150


class Confluent:
    def __init__(self, bootstrap):
        from confluent_kafka import Producer

        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})

    def send(self, topic, partition, value, done):
        self.producer.produce(
            topic,
            value,
            partition=partition,
            on_delivery=lambda error, message: done(error, None if error else message.offset()),
        )

    def pause(self, seconds):
        self.producer.poll(seconds)

    def finish(self):
        self.producer.flush(FLUSH_SECONDS)


class KafkaPython:
    def __init__(self, bootstrap):
        from kafka import KafkaProducer

        self.producer = KafkaProducer(bootstrap_servers=bootstrap.split(","), enable_idempotence=True)

    def send(self, topic, partition, value, done):
        sent = self.producer.send(topic, value, partition=partition)
        sent.add_callback(lambda metadata: done(None, metadata.offset))
        sent.add_errback(lambda error: done(error, None))

    def pause(self, seconds):
        time.sleep(seconds)

    def finish(self):
        self.producer.flush(FLUSH_SECONDS)


class Load:
    def __init__(self):
        self.acknowledged = 0
        self.failed = 0
        self.stop = False
        self.lock = threading.Lock()

    def listen(self):
        for line in sys.stdin:
            if line.strip() == "stop":
                break
        self.stop = True

    def note(self, error, partition, number, offset):
        with self.lock:
            if error is not None:
                self.failed += 1
                print(f"FAIL {error}", flush=True)
                return
            self.acknowledged += 1
            print(f"ack {partition} {number} {offset}", flush=True)


def main(library, bootstrap, topic, partitions, rate, name):
    load = Load()
    threading.Thread(target=load.listen, daemon=True).start()
    client = {"confluent": Confluent, "kafka-python": KafkaPython}[library](bootstrap)
    begin = time.monotonic()
    number = 0
    while not load.stop:
        while number < (time.monotonic() - begin) * rate:
            for partition in range(partitions):
                value = f"{name} {partition} {number}".encode()
                client.send(
                    topic,
                    partition,
                    value,
                    lambda error, offset, to=partition, which=number: load.note(error, to, which, offset),
                )
            number += 1
        client.pause(0.002)
    client.finish()
    with load.lock:
        print(f"sent {number * partitions} failed {load.failed}", flush=True)


main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
