import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;

/** Classic consumer groups: members come and go, and every partition has exactly one owner. */
final class Groups {
    private static final int PARTITIONS = 4;

    private final String bootstrap;
    private final String topic;

    private Groups(String bootstrap, String topic) {
        this.bootstrap = bootstrap;
        this.topic = topic;
    }

    static void all(Steps steps, String bootstrap, String run) {
        Groups self = new Groups(bootstrap, "java-groups-" + run);
        steps.step("create a topic for groups", self::create);
        for (Class<?> assignor :
                List.of(RangeAssignor.class, RoundRobinAssignor.class, CooperativeStickyAssignor.class)) {
            String name = assignor.getSimpleName();
            Map<String, Object> settings =
                    Map.of("partition.assignment.strategy", assignor.getName(), "heartbeat.interval.ms", 200);
            steps.step("two members by " + name, () -> self.twoMembers(name + run, settings));
        }
        steps.step("static members", () -> self.staticMember("static-" + run));
    }

    private void create() throws Exception {
        try (Admin admin = Clients.admin(bootstrap)) {
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
        }
    }

    private void twoMembers(String group, Map<String, Object> settings) throws Exception {
        try (KafkaConsumer<String, String> one = Clients.consumer(bootstrap, group, settings)) {
            one.subscribe(List.of(topic));
            pollUntil("one owns all", () -> one.assignment().size() == PARTITIONS, one);
            try (KafkaConsumer<String, String> two = Clients.consumer(bootstrap, group, settings)) {
                two.subscribe(List.of(topic));
                pollUntil(
                        "both own half",
                        () -> one.assignment().size() == 2 && two.assignment().size() == 2,
                        one,
                        two);
                Set<TopicPartition> union = new HashSet<>(one.assignment());
                union.addAll(two.assignment());
                Steps.equal(PARTITIONS, union.size(), "partitions with an owner");
                Steps.equal(2, describe(group).members().size(), "members");
            }
            pollUntil("one owns all again", () -> one.assignment().size() == PARTITIONS, one);
        }
    }

    private void staticMember(String group) throws Exception {
        Map<String, Object> settings = Map.of("group.instance.id", "instance-1", "heartbeat.interval.ms", 200);
        Set<TopicPartition> before;
        String memberBefore;
        try (KafkaConsumer<String, String> one = Clients.consumer(bootstrap, group, settings)) {
            one.subscribe(List.of(topic));
            pollUntil("the member owns all", () -> one.assignment().size() == PARTITIONS, one);
            before = Set.copyOf(one.assignment());
            memberBefore = one.groupMetadata().memberId();
        }
        Steps.equal(1, describe(group).members().size(), "a static member stays when it closes");
        try (KafkaConsumer<String, String> again = Clients.consumer(bootstrap, group, settings)) {
            again.subscribe(List.of(topic));
            pollUntil("the new process owns all", () -> again.assignment().equals(before), again);
            Steps.holds(!memberBefore.equals(again.groupMetadata().memberId()), "the member id is replaced");
        }
    }

    private ConsumerGroupDescription describe(String group) throws Exception {
        try (Admin admin = Clients.admin(bootstrap)) {
            return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        }
    }

    @SafeVarargs
    private static void pollUntil(
            String what, BooleanSupplier condition, KafkaConsumer<String, String>... consumers) {
        long deadline = System.nanoTime() + Clients.BOUND.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new TimeoutException("waited " + Clients.BOUND + " until " + what);
            }
            for (KafkaConsumer<String, String> consumer : consumers) {
                consumer.poll(Duration.ofMillis(50));
            }
        }
    }
}
