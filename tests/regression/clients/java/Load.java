import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * A load that outlives broker crashes, and its check: {@code Load produce BOOTSTRAP TOPIC RECORDS ACKS_FILE}, then
 * {@code Load verify BOOTSTRAP TOPIC RECORDS ACKS_FILE}. The file has one line {@code number partition offset} for
 * each acknowledged record.
 */
public final class Load {
    private static final int PARTITIONS = 4;
    private static final int PROGRESS_EVERY = 250;

    private Load() {}

    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[1];
        String topic = arguments[2];
        int records = Integer.parseInt(arguments[3]);
        Path acks = Path.of(arguments[4]);
        if (arguments[0].equals("produce")) {
            produce(bootstrap, topic, records, acks);
        } else {
            verify(bootstrap, topic, records, acks);
        }
    }

    private static void produce(String bootstrap, String topic, int records, Path acks) throws Exception {
        try (Admin admin = Clients.admin(bootstrap)) {
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
        }
        List<String> acknowledged = new ArrayList<>();
        AtomicInteger failed = new AtomicInteger();
        // Small batches, so that a crash hits many of them in flight.
        Map<String, Object> settings = Map.of("batch.size", 2000, "buffer.memory", 200_000, "reconnect.backoff.max.ms", 200);
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, settings)) {
            for (int number = 0; number < records; number++) {
                String text = String.valueOf(number);
                ProducerRecord<String, String> record =
                        new ProducerRecord<>(topic, number % PARTITIONS, null, text + "-" + "x".repeat(200));
                producer.send(
                        record,
                        (metadata, error) -> {
                            // The sender thread calls one callback after the other.
                            if (error != null) {
                                System.out.println("FAIL record " + text + " " + error);
                                failed.incrementAndGet();
                                return;
                            }
                            acknowledged.add(text + " " + metadata.partition() + " " + metadata.offset());
                            if (acknowledged.size() % PROGRESS_EVERY == 0) {
                                System.out.println("acked " + acknowledged.size());
                            }
                        });
            }
        }
        Files.write(acks, acknowledged);
        System.out.println("produced " + acknowledged.size() + " failed " + failed.get());
        System.exit(failed.get() == 0 && acknowledged.size() == records ? 0 : 1);
    }

    private static void verify(String bootstrap, String topic, int records, Path acks) throws IOException {
        Map<Integer, String> places = readAll(bootstrap, topic);
        int missing = 0;
        for (String line : Files.readAllLines(acks)) {
            String[] fields = line.split(" ", 2);
            String place = places.get(Integer.parseInt(fields[0]));
            if (!fields[1].equals(place)) {
                System.out.println("FAIL record " + fields[0] + " was acknowledged at " + fields[1] + ", is at " + place);
                missing++;
            }
        }
        System.out.println("verified " + places.size() + " of " + records + ", misplaced " + missing);
        System.exit(missing == 0 && places.size() == records ? 0 : 1);
    }

    /** Where each record is; a gap in the offsets or a record that occurs twice ends the program. */
    private static Map<Integer, String> readAll(String bootstrap, String topic) {
        Map<Integer, String> places = new HashMap<>();
        Map<String, Object> settings = Map.of("enable.auto.commit", false);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "unused", settings)) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (PartitionInfo info : consumer.partitionsFor(topic)) {
                partitions.add(new TopicPartition(topic, info.partition()));
            }
            consumer.assign(partitions);
            long total = 0;
            for (long end : consumer.endOffsets(partitions).values()) {
                total += end;
            }
            long[] next = new long[partitions.size()];
            for (ConsumerRecord<String, String> record : ProduceConsume.poll(consumer, (int) total)) {
                Steps.equal(next[record.partition()]++, record.offset(), "offset in " + record.partition());
                int number = Integer.parseInt(record.value().substring(0, record.value().indexOf('-')));
                String before = places.put(number, record.partition() + " " + record.offset());
                Steps.equal(null, before, "an earlier place of record " + number);
            }
        }
        return places;
    }
}
