import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

/** Many topics of one partition: {@code ManyTopics fill|verify BOOTSTRAP TOPICS}. */
public final class ManyTopics {
    private static final int CREATED_AT_ONCE = 1000;
    private static final int READ_AT_ONCE = 1000;
    private static final int TOPICS_OF_A_PRODUCER = 250;
    private static final int PRODUCERS_AT_ONCE = 4;

    private ManyTopics() {}

    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[1];
        int topics = Integer.parseInt(arguments[2]);
        if (arguments[0].equals("fill")) {
            create(bootstrap, topics);
            produce(bootstrap, topics);
        }
        verify(bootstrap, topics);
    }

    private static void create(String bootstrap, int topics) throws Exception {
        long begin = System.nanoTime();
        try (Admin admin = Clients.admin(bootstrap)) {
            for (int first = 0; first < topics; first += CREATED_AT_ONCE) {
                List<NewTopic> wanted = new ArrayList<>();
                for (int number = first; number < Math.min(first + CREATED_AT_ONCE, topics); number++) {
                    wanted.add(new NewTopic(name(number), 1, (short) 1));
                }
                admin.createTopics(wanted).all().get();
            }
        }
        System.out.println("created " + topics + " topics in " + (System.nanoTime() - begin) / 1_000_000 + " ms");
    }

    /** A producer's work for each new topic grows with the topics it knows, so one of them serves only a few. */
    private static void produce(String bootstrap, int topics) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(PRODUCERS_AT_ONCE);
        List<Future<?>> parts = new ArrayList<>();
        for (int first = 0; first < topics; first += TOPICS_OF_A_PRODUCER) {
            int begin = first;
            int end = Math.min(first + TOPICS_OF_A_PRODUCER, topics);
            parts.add(
                    pool.submit(
                            () -> {
                                producePart(bootstrap, begin, end);
                                return null;
                            }));
        }
        pool.shutdown();
        for (Future<?> part : parts) {
            part.get();
        }
    }

    private static void producePart(String bootstrap, int begin, int end) throws Exception {
        List<Future<RecordMetadata>> pending = new ArrayList<>();
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, Map.of())) {
            for (int number = begin; number < end; number++) {
                pending.add(producer.send(new ProducerRecord<>(name(number), name(number))));
            }
        }
        for (Future<RecordMetadata> future : pending) {
            Steps.equal(0L, future.get().offset(), "the offset of a first record");
        }
    }

    private static void verify(String bootstrap, int topics) throws Exception {
        List<TopicPartition> partitions = new ArrayList<>();
        for (int number = 0; number < topics; number++) {
            partitions.add(new TopicPartition(name(number), 0));
        }
        try (Admin admin = Clients.admin(bootstrap)) {
            Set<String> names = admin.listTopics().names().get();
            partitions.forEach(partition -> Steps.holds(names.contains(partition.topic()), partition + " is listed"));
        }
        Set<String> values = new HashSet<>();
        // A committed position would make a second look start behind everything.
        Map<String, Object> settings = Map.of("enable.auto.commit", false);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "unused", settings)) {
            // Each poll of this client costs time for every assigned partition, so it gets them in parts.
            for (int first = 0; first < topics; first += READ_AT_ONCE) {
                List<TopicPartition> part = partitions.subList(first, Math.min(first + READ_AT_ONCE, topics));
                consumer.assign(part);
                consumer.seekToBeginning(part);
                for (ConsumerRecord<String, String> record : ProduceConsume.poll(consumer, part.size())) {
                    Steps.equal(record.topic(), record.value(), "the record of a topic");
                    values.add(record.value());
                }
            }
        }
        Steps.equal(topics, values.size(), "topics with their record");
        System.out.println("verified " + topics + " topics");
    }

    private static String name(int number) {
        return "many-" + number;
    }
}
