import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * A default producer, which is idempotent, that writes numbered records to every partition and tells what was
 * acknowledged: {@code IdempotentLoad BOOTSTRAP TOPIC PARTITIONS RATE NAME}, with the words of {@code
 * idempotent_load.py}.
 */
public final class IdempotentLoad {
    private final AtomicLong failed = new AtomicLong();
    private volatile boolean isStopping;

    private IdempotentLoad() {}

    public static void main(String[] arguments) {
        int partitions = Integer.parseInt(arguments[2]);
        int rate = Integer.parseInt(arguments[3]);
        new IdempotentLoad().run(arguments[0], arguments[1], partitions, rate, arguments[4]);
        System.exit(0);
    }

    private void run(String bootstrap, String topic, int partitions, int rate, String name) {
        Thread listener = new Thread(this::listen);
        listener.setDaemon(true);
        listener.start();
        long number = 0;
        long begin = System.nanoTime();
        // Closing it waits for what is open.
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, Map.of())) {
            while (!isStopping) {
                for (; number < (System.nanoTime() - begin) / 1e9 * rate; number++) {
                    for (int partition = 0; partition < partitions; partition++) {
                        send(producer, topic, partition, number, name + " " + partition + " " + number);
                    }
                }
                LockSupport.parkNanos(2_000_000);
            }
        }
        System.out.println("sent " + number * partitions + " failed " + failed.get());
    }

    private void send(
            KafkaProducer<String, String> producer, String topic, int partition, long number, String value) {
        producer.send(
                new ProducerRecord<>(topic, partition, null, value),
                (metadata, error) -> {
                    if (error != null) {
                        failed.incrementAndGet();
                        System.out.println("FAIL " + error);
                        return;
                    }
                    System.out.println("ack " + partition + " " + number + " " + metadata.offset());
                });
    }

    private void listen() {
        try (BufferedReader input = new BufferedReader(new InputStreamReader(System.in))) {
            for (String line = input.readLine(); line != null && !line.equals("stop"); ) {
                line = input.readLine();
            }
        } catch (IOException error) {
            System.out.println("FAIL " + error);
        }
        isStopping = true;
    }
}
