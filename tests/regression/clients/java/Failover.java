import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * A steady load on every partition with a default producer, and the longest pause between acknowledgements: {@code
 * Failover BOOTSTRAP TOPIC PARTITIONS RATE}, with the words of {@code failover_confluent.py}.
 */
public final class Failover {
    private static final int ENOUGH = 20;

    private final AtomicLongArray acknowledged;
    private final AtomicLongArray afterFault;
    private final AtomicLong failed = new AtomicLong();
    // Only the producer's own thread touches these.
    private final long[] lastAckNanos;
    private final AtomicLongArray longestGapNanos;
    private volatile long faultAtNanos;
    private volatile boolean isFaulty;
    private volatile boolean isStopping;

    private Failover(int partitions) {
        acknowledged = new AtomicLongArray(partitions);
        afterFault = new AtomicLongArray(partitions);
        lastAckNanos = new long[partitions];
        longestGapNanos = new AtomicLongArray(partitions);
    }

    public static void main(String[] arguments) {
        int partitions = Integer.parseInt(arguments[2]);
        new Failover(partitions).run(arguments[0], arguments[1], partitions, Integer.parseInt(arguments[3]));
        System.exit(0);
    }

    private void run(String bootstrap, String topic, int partitions, int rate) {
        Thread listener = new Thread(this::listen);
        listener.setDaemon(true);
        listener.start();
        String value = "x".repeat(100);
        boolean saidSteady = false;
        boolean saidRecovered = false;
        long turns = 0;
        long begin = System.nanoTime();
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, Map.of())) {
            while (!isStopping) {
                while (turns < (System.nanoTime() - begin) / 1e9 * rate) {
                    turns++;
                    for (int partition = 0; partition < partitions; partition++) {
                        send(producer, topic, partition, value);
                    }
                }
                LockSupport.parkNanos(500_000);
                if (!saidSteady && least(acknowledged) > ENOUGH) {
                    saidSteady = true;
                    System.out.println("steady");
                }
                if (!saidRecovered && least(afterFault) > ENOUGH) {
                    saidRecovered = true;
                    System.out.println("recovered");
                }
            }
        }
        for (int partition = 0; partition < partitions; partition++) {
            System.out.printf("gap %d %.1f%n", partition, longestGapNanos.get(partition) / 1e6);
        }
        System.out.println("sent " + turns * partitions + " failed " + failed.get());
    }

    private void send(KafkaProducer<String, String> producer, String topic, int partition, String value) {
        long sentAt = System.nanoTime();
        producer.send(
                new ProducerRecord<>(topic, partition, null, value),
                (metadata, error) -> {
                    if (error != null) {
                        failed.incrementAndGet();
                        System.out.println("FAIL " + error);
                        return;
                    }
                    note(partition, sentAt);
                });
    }

    private void note(int partition, long sentAtNanos) {
        long now = System.nanoTime();
        // The first acknowledgements wait for connections, which is not what is measured.
        if (acknowledged.incrementAndGet(partition) > ENOUGH) {
            long gap = now - lastAckNanos[partition];
            longestGapNanos.set(partition, Math.max(longestGapNanos.get(partition), gap));
        }
        lastAckNanos[partition] = now;
        if (isFaulty && sentAtNanos > faultAtNanos) {
            afterFault.incrementAndGet(partition);
        }
    }

    private void listen() {
        try (BufferedReader input = new BufferedReader(new InputStreamReader(System.in))) {
            for (String line = input.readLine(); line != null && !line.equals("stop"); line = input.readLine()) {
                if (line.equals("fault")) {
                    faultAtNanos = System.nanoTime();
                    isFaulty = true;
                }
            }
        } catch (IOException error) {
            System.out.println("FAIL " + error);
        }
        isStopping = true;
    }

    private static long least(AtomicLongArray counts) {
        long least = Long.MAX_VALUE;
        for (int position = 0; position < counts.length(); position++) {
            least = Math.min(least, counts.get(position));
        }
        return least;
    }
}
