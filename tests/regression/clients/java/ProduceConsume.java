import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;

/** Produces with every codec and reads everything back, in a group and by position. */
final class ProduceConsume {
    private static final int PARTITIONS = 3;
    private static final long FIRST_TIMESTAMP = 1_700_000_000_000L;

    private final String bootstrap;
    private final int records;

    private ProduceConsume(String bootstrap, int records) {
        this.bootstrap = bootstrap;
        this.records = records;
    }

    static void all(Steps steps, String bootstrap, String run, int records) {
        ProduceConsume self = new ProduceConsume(bootstrap, records);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            String topic = "java-" + codec + "-" + run;
            steps.step("create a topic for " + codec, () -> self.create(topic));
            steps.step("produce " + codec, () -> self.produce(topic, codec));
            steps.step("consume " + codec, () -> self.consume(topic));
        }
        String topic = "java-none-" + run;
        steps.step("read by position", () -> self.readByPosition(topic));
        steps.step("offsets by time", () -> self.offsetsByTime(topic));
        steps.step("resume from a commit", () -> self.resumeFromCommit(topic, run));
        steps.step("auto-create", () -> self.autoCreate("java-auto-" + run));
        steps.step("read committed", () -> self.readCommitted(topic));
        steps.step("acks 0 and 1", () -> self.weakAcks("java-acks-" + run));
        steps.step("large and empty values", () -> self.sizes("java-sizes-" + run));
        steps.step("refuse a record over the limit", () -> self.tooLarge("java-large-" + run));
    }

    private void create(String topic) throws Exception {
        try (Admin admin = Clients.admin(bootstrap)) {
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
            // Kafka acknowledges a topic before its broker hosts it, and a refused first batch that is overtaken by
            // the second one is then out of sequence for ever. Asking for offsets waits for the leader.
            for (int number = 0; number < PARTITIONS; number++) {
                admin.listOffsets(Map.of(new TopicPartition(topic, number), OffsetSpec.latest())).all().get();
            }
        }
    }

    private void produce(String topic, String codec) throws Exception {
        List<Future<RecordMetadata>> pending = new ArrayList<>();
        try (KafkaProducer<String, String> producer =
                Clients.producer(bootstrap, Map.of("compression.type", codec))) {
            for (int number = 0; number < records; number++) {
                ProducerRecord<String, String> record =
                        new ProducerRecord<>(
                                topic, number % PARTITIONS, FIRST_TIMESTAMP + number, "key-" + number, value(number));
                record.headers().add("number", String.valueOf(number).getBytes(StandardCharsets.UTF_8));
                record.headers().add("number", "again".getBytes(StandardCharsets.UTF_8));
                pending.add(producer.send(record));
            }
        }
        long[] next = new long[PARTITIONS];
        for (Future<RecordMetadata> future : pending) {
            RecordMetadata metadata = future.get();
            Steps.equal(next[metadata.partition()]++, metadata.offset(), "offset in " + metadata.partition());
        }
    }

    private void consume(String topic) {
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(bootstrap, "group-of-" + topic, Map.of())) {
            consumer.subscribe(List.of(topic));
            long[] next = new long[PARTITIONS];
            for (ConsumerRecord<String, String> record : poll(consumer, records)) {
                long offset = next[record.partition()]++;
                long number = offset * PARTITIONS + record.partition();
                Steps.equal(offset, record.offset(), "offset in " + record.partition());
                Steps.equal("key-" + number, record.key(), "key");
                Steps.equal(value((int) number), record.value(), "value");
                Steps.equal(FIRST_TIMESTAMP + number, record.timestamp(), "timestamp");
                Steps.equal(2, record.headers().toArray().length, "headers, one of them twice");
            }
            consumer.commitSync();
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
            long sum = committed.values().stream().mapToLong(OffsetAndMetadata::offset).sum();
            Steps.equal((long) records, sum, "committed offsets");
        }
    }

    private void readByPosition(String topic) {
        TopicPartition partition = new TopicPartition(topic, 1);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "unused", Map.of())) {
            consumer.assign(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            Steps.equal(0L, consumer.beginningOffsets(List.of(partition)).get(partition), "beginning");
            consumer.seek(partition, end - 1);
            List<ConsumerRecord<String, String>> last = poll(consumer, 1);
            Steps.equal(end - 1, last.get(0).offset(), "the last record");
            consumer.seekToEnd(List.of(partition));
            Steps.equal(end, consumer.position(partition), "the position at the end");
            consumer.seek(partition, end + 1000);
            Steps.equal(0L, poll(consumer, 1).get(0).offset(), "reset after an offset out of range");
        }
    }

    private void offsetsByTime(String topic) {
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "unused", Map.of())) {
            Map<TopicPartition, Long> question = new HashMap<>();
            question.put(partition, FIRST_TIMESTAMP + 4);
            OffsetAndTimestamp found = consumer.offsetsForTimes(question).get(partition);
            Steps.equal(2L, found.offset(), "the first record not older");
            Steps.equal(FIRST_TIMESTAMP + 6, found.timestamp(), "its time");
            question.put(partition, FIRST_TIMESTAMP + 10L * records);
            Steps.equal(null, consumer.offsetsForTimes(question).get(partition), "a time after the end");
        }
    }

    private void resumeFromCommit(String topic, String run) {
        TopicPartition partition = new TopicPartition(topic, 2);
        Map<String, Object> settings = Map.of("enable.auto.commit", false, "max.poll.records", 10);
        String group = "resume-" + run;
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, group, settings)) {
            consumer.assign(List.of(partition));
            poll(consumer, 10);
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(10, "ten are done")));
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, group, settings)) {
            consumer.assign(List.of(partition));
            Steps.equal(10L, poll(consumer, 1).get(0).offset(), "the first record after the commit");
            OffsetAndMetadata committed = consumer.committed(java.util.Set.of(partition)).get(partition);
            Steps.equal("ten are done", committed.metadata(), "metadata of the commit");
        }
    }

    private void autoCreate(String topic) throws Exception {
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, Map.of())) {
            Steps.equal(0L, producer.send(new ProducerRecord<>(topic, "first")).get().offset(), "offset");
            Steps.holds(!producer.partitionsFor(topic).isEmpty(), "partitions are known");
        }
    }

    private void readCommitted(String topic) {
        Map<String, Object> settings = Map.of("isolation.level", "read_committed");
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "unused", settings)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            int expected = (records + PARTITIONS - 1) / PARTITIONS;
            Steps.equal(expected, poll(consumer, expected).size(), "records");
        }
    }

    private void weakAcks(String topic) throws Exception {
        create(topic);
        for (String acks : List.of("0", "1")) {
            Map<String, Object> settings = Map.of("acks", acks, "enable.idempotence", false);
            try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, settings)) {
                for (int number = 0; number < 100; number++) {
                    producer.send(new ProducerRecord<>(topic, 0, null, value(number)));
                }
            }
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "unused", Map.of())) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            Steps.equal(200, poll(consumer, 200).size(), "records");
        }
    }

    private void sizes(String topic) throws Exception {
        create(topic);
        String[] values = {"", null, "x".repeat(900_000), "small"};
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, Map.of())) {
            for (String value : values) {
                producer.send(new ProducerRecord<>(topic, 0, null, value)).get();
            }
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "unused", Map.of())) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            List<ConsumerRecord<String, String>> found = poll(consumer, values.length);
            for (int number = 0; number < values.length; number++) {
                Steps.equal(values[number], found.get(number).value(), "value " + number);
            }
        }
    }

    private void tooLarge(String topic) throws Exception {
        create(topic);
        Map<String, Object> settings = Map.of("max.request.size", 10_000_000);
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, settings)) {
            ProducerRecord<String, String> record = new ProducerRecord<>(topic, "x".repeat(2_000_000));
            Steps.refused(RecordTooLargeException.class, () -> producer.send(record).get());
            producer.send(new ProducerRecord<>(topic, "small")).get();
        }
    }

    /** Polls until there are {@code count} records; a broker that never delivers them is an error. */
    static List<ConsumerRecord<String, String>> poll(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> found = new ArrayList<>();
        long deadline = System.nanoTime() + Clients.BOUND.toNanos();
        while (found.size() < count) {
            if (System.nanoTime() > deadline) {
                throw new TimeoutException(found.size() + " of " + count + " records after " + Clients.BOUND);
            }
            consumer.poll(java.time.Duration.ofMillis(200)).forEach(found::add);
        }
        return found;
    }

    private static String value(int number) {
        return "value-" + number + "-" + "abc".repeat(number % 50);
    }
}
