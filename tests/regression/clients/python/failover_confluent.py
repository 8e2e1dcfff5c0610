"""A steady load on every partition with a default librdkafka producer, and the longest pause between acknowledgements.

failover_confluent.py BOOTSTRAP TOPIC PARTITIONS RATE; RATE is records per second and partition. Prints "steady" once
every partition acknowledges; after the line "fault" on its input, "recovered" once every partition acknowledges
records that were sent after it; after the line "stop", "gap PARTITION MILLISECONDS" for each partition and
"sent N failed M". After the line "read" instead, everything is read back first: "kept N missing M" says how many
different records are there, and how many are not.
"""

import sys
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

ENOUGH = 20
SILENCE_SECONDS = 30


class Load:
    def __init__(self, partitions):
        self.acknowledged = [0] * partitions
        self.after_fault = [0] * partitions
        self.last_ack = [None] * partitions
        self.longest_gap = [0.0] * partitions
        self.failed = 0
        self.fault_at = None
        self.stop = False
        self.reads_back = False

    def listen(self):
        for line in sys.stdin:
            word = line.strip()
            if word == "fault":
                self.fault_at = time.monotonic()
            if word in ("stop", "read"):
                self.reads_back = word == "read"
                break
        self.stop = True

    def note(self, error, partition, sent_at):
        if error is not None:
            self.failed += 1
            print(f"FAIL {error}", flush=True)
            return
        now = time.monotonic()
        self.acknowledged[partition] += 1
        # The first acknowledgements wait for connections, which is not what is measured.
        if self.acknowledged[partition] > ENOUGH and self.last_ack[partition] is not None:
            self.longest_gap[partition] = max(self.longest_gap[partition], now - self.last_ack[partition])
        self.last_ack[partition] = now
        if self.fault_at is not None and sent_at > self.fault_at:
            self.after_fault[partition] += 1


def read_back(bootstrap, topic, partitions, wanted):
    """The numbers that each partition holds. Ends once all that are wanted were seen, or nothing came for a while.

    It asks for no end of a partition: librdkafka does not repeat that question when leadership moves just then, and
    leadership may well move after a fault.
    """
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "read-back", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, at, 0) for at in range(partitions)])
    held = [set() for _ in range(partitions)]
    left = len(wanted) * partitions
    while left > 0:
        message = consumer.poll(SILENCE_SECONDS)
        if message is None:
            break
        if message.error() is not None:
            sys.exit(f"FAIL {message.error()}")
        number, numbers = int(message.value()), held[message.partition()]
        if number in wanted and number not in numbers:
            left -= 1
        numbers.add(number)
    consumer.close()
    return held


def main(bootstrap, topic, partitions, rate):
    load = Load(partitions)
    threading.Thread(target=load.listen, daemon=True).start()
    producer = Producer({"bootstrap.servers": bootstrap})
    said = set()
    begin = time.monotonic()
    turns = 0
    while not load.stop:
        while turns < (time.monotonic() - begin) * rate:
            turns += 1
            for partition in range(partitions):
                sent_at = time.monotonic()
                producer.produce(
                    topic,
                    b"%0100d" % turns,
                    partition=partition,
                    on_delivery=lambda error, message, at=sent_at, to=partition: load.note(error, to, at),
                )
        producer.poll(0.001)
        for word, counts in (("steady", load.acknowledged), ("recovered", load.after_fault)):
            if word not in said and min(counts) > ENOUGH:
                said.add(word)
                print(word, flush=True)
    producer.flush(120)
    if load.reads_back:
        wanted = set(range(1, turns + 1))
        held = read_back(bootstrap, topic, partitions, wanted)
        kept = sum(len(numbers & wanted) for numbers in held)
        print(f"kept {kept} missing {turns * partitions - kept}", flush=True)
    for partition, gap in enumerate(load.longest_gap):
        print(f"gap {partition} {gap * 1000:.1f}")
    print(f"sent {turns * partitions} failed {load.failed}", flush=True)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
