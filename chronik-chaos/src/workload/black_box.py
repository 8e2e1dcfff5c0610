"""Sends what standard input says and tells what became of it.

black_box.py LIBRARY BOOTSTRAP TOPIC

A line `OP PARTITION PAYLOAD` (hexadecimal) is one record; the answer is `OP ok OFFSET` or `OP error NAME`. The end of the
input ends the program, once every record has its answer.
"""

import sys
import threading

# Whoever waits for longer has made its record's fate unknown.
DELIVERY_MS = 20_000
OUT = threading.Lock()


def tell(op, what, detail):
    with OUT:
        print(op, what, detail, flush=True)


def librdkafka(bootstrap, topic):
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "message.timeout.ms": DELIVERY_MS,
            "linger.ms": 2,
        }
    )

    def send(op, partition, payload):
        def answered(error, message):
            if error is None:
                tell(op, "ok", message.offset())
            else:
                tell(op, "error", error.name())

        producer.produce(topic, payload, partition=partition, on_delivery=answered)
        producer.poll(0)

    # Answers are told while nothing is sent, too.
    stop = threading.Event()

    def poll():
        while not stop.is_set():
            producer.poll(0.05)

    poller = threading.Thread(target=poll)
    poller.start()

    def finish():
        producer.flush(2 * DELIVERY_MS / 1000)
        stop.set()
        poller.join()

    return send, finish


def kafka_python(bootstrap, topic):
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=bootstrap.split(","),
        acks="all",
        enable_idempotence=True,
        delivery_timeout_ms=DELIVERY_MS,
        request_timeout_ms=5_000,
        linger_ms=2,
        max_block_ms=DELIVERY_MS,
    )

    def send(op, partition, payload):
        try:
            future = producer.send(topic, payload, partition=partition)
        except Exception as error:  # pylint: disable=broad-except
            tell(op, "error", type(error).__name__)
            return
        future.add_callback(lambda told: tell(op, "ok", told.offset))
        future.add_errback(lambda error: tell(op, "error", type(error).__name__))

    def finish():
        producer.flush(2 * DELIVERY_MS / 1000)
        producer.close(5)

    return send, finish


def main():
    library, bootstrap, topic = sys.argv[1:]
    make = {"librdkafka": librdkafka, "kafka-python": kafka_python}[library]
    send, finish = make(bootstrap, topic)
    for line in sys.stdin:
        op, partition, payload = line.split()
        send(op, int(partition), bytes.fromhex(payload))
    finish()


main()
