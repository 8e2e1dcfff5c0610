import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Every request an administrator makes, on one node or several, and the refusals that matter. */
final class AdminTour {
    private static final int RECORDS = 20;

    private final Admin admin;
    private final String bootstrap;
    private final String topic;
    private final String group;

    private AdminTour(Admin admin, String bootstrap, String run) {
        this.admin = admin;
        this.bootstrap = bootstrap;
        this.topic = "java-admin-" + run;
        this.group = "java-admin-group-" + run;
    }

    static void all(Steps steps, String bootstrap, String run) {
        try (Admin admin = Clients.admin(bootstrap)) {
            AdminTour tour = new AdminTour(admin, bootstrap, run);
            steps.step("admin: describe cluster", tour::describeCluster);
            steps.step("admin: create topic", tour::create);
            steps.step("admin: validate only", tour::validateOnly);
            steps.step("admin: refused creations", tour::refusedCreations);
            steps.step("admin: list topics", tour::list);
            steps.step("admin: describe topics", tour::describe);
            steps.step("admin: describe configs", tour::describeConfigs);
            steps.step("admin: describe broker configs", tour::describeBrokerConfigs);
            steps.step("admin: alter configs", tour::alterConfigs);
            steps.step("admin: refused configs", tour::refusedConfigs);
            steps.step("admin: create partitions", tour::createPartitions);
            steps.step("admin: list offsets", tour::listOffsets);
            steps.step("admin: delete records", tour::deleteRecords);
            steps.step("admin: describe log dirs", tour::describeLogDirs);
            steps.step("admin: alter group offsets", tour::alterGroupOffsets);
            steps.step("admin: list groups", tour::listGroups);
            steps.step("admin: describe group", tour::describeGroup);
            steps.step("admin: delete group offsets", tour::deleteGroupOffsets);
            steps.step("admin: delete group", tour::deleteGroup);
            steps.step("admin: delete topic by name", tour::deleteByName);
            steps.step("admin: delete topic by id", tour::deleteById);
        }
    }

    private void describeCluster() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        Collection<Node> nodes = cluster.nodes().get();
        Steps.holds(nodes.size() == bootstrap.split(",").length, "all nodes and no others: " + nodes);
        Steps.holds(!cluster.clusterId().get().isEmpty(), "the cluster has an id");
        Steps.holds(nodes.contains(cluster.controller().get()), "the controller is a listed node");
    }

    private void create() throws Exception {
        NewTopic wanted = new NewTopic(topic, 2, (short) 1).configs(Map.of("retention.ms", "3600000"));
        CreateTopicsResult created = admin.createTopics(List.of(wanted));
        created.all().get();
        Steps.equal(2, created.numPartitions(topic).get(), "partitions");
        Steps.equal(1, created.replicationFactor(topic).get(), "replication factor");
        Steps.holds(!created.topicId(topic).get().equals(Uuid.ZERO_UUID), "the topic has an id");
        Steps.equal("3600000", created.config(topic).get().get("retention.ms").value(), "its configuration");
        NewTopic byDefaults = new NewTopic(topic + "-defaults", Optional.empty(), Optional.empty());
        Steps.holds(
                admin.createTopics(List.of(byDefaults)).numPartitions(topic + "-defaults").get() > 0,
                "the broker's default number of partitions");
    }

    private void validateOnly() throws Exception {
        String name = topic + "-imagined";
        CreateTopicsOptions options = new CreateTopicsOptions().validateOnly(true);
        admin.createTopics(List.of(new NewTopic(name, 1, (short) 1)), options).all().get();
        Steps.holds(!admin.listTopics().names().get().contains(name), "nothing was created");
    }

    private void refusedCreations() throws Exception {
        refuse(TopicExistsException.class, new NewTopic(topic, 1, (short) 1));
        refuse(InvalidTopicException.class, new NewTopic("not a name", 1, (short) 1));
        refuse(InvalidPartitionsException.class, new NewTopic(topic + "-a", 0, (short) 1));
        refuse(InvalidReplicationFactorException.class, new NewTopic(topic + "-b", 1, (short) (nodes().size() + 1)));
        refuse(
                InvalidConfigurationException.class,
                new NewTopic(topic + "-c", 1, (short) 1).configs(Map.of("retention.ms", "soon")));
        CreateTopicsResult mixed =
                admin.createTopics(
                        List.of(new NewTopic(topic + "-good", 1, (short) 1), new NewTopic(topic, 1, (short) 1)));
        mixed.values().get(topic + "-good").get();
        Steps.refused(TopicExistsException.class, () -> mixed.values().get(topic).get());
    }

    private void refuse(Class<? extends Throwable> expected, NewTopic wanted) throws Exception {
        Steps.refused(expected, () -> admin.createTopics(List.of(wanted)).all().get());
    }

    private void list() throws Exception {
        Set<String> names = admin.listTopics().names().get();
        Steps.holds(names.containsAll(Set.of(topic, topic + "-good", topic + "-defaults")), "all topics: " + names);
    }

    /** The numbers of all nodes. */
    private List<Integer> nodes() throws Exception {
        return admin.describeCluster().nodes().get().stream().map(Node::id).collect(Collectors.toList());
    }

    /** A node that was asked early may not know yet who leads on another one. */
    private TopicDescription awaitLed() throws Exception {
        long begin = System.nanoTime();
        while (true) {
            TopicDescription found = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            boolean isLed = found.partitions().stream().allMatch(partition -> partition.leader() != null);
            if (isLed || System.nanoTime() - begin > Clients.BOUND.toNanos()) {
                return found;
            }
        }
    }

    private void describe() throws Exception {
        TopicDescription description = awaitLed();
        Steps.equal(2, description.partitions().size(), "partitions");
        Steps.holds(!description.isInternal(), "not internal");
        description
                .partitions()
                .forEach(
                        partition -> {
                            Steps.holds(partition.leader() != null, "a leader");
                            Steps.equal(1, partition.replicas().size(), "replicas");
                            Steps.equal(1, partition.isr().size(), "in-sync replicas");
                        });
        Uuid id = description.topicId();
        TopicDescription byId =
                admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id);
        Steps.equal(topic, byId.name(), "the name behind the id");
        Steps.refused(
                UnknownTopicOrPartitionException.class,
                () -> admin.describeTopics(List.of(topic + "-absent")).allTopicNames().get());
    }

    private void describeConfigs() throws Exception {
        Config config = config();
        Steps.equal("3600000", config.get("retention.ms").value(), "retention.ms");
        Steps.equal(
                ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, config.get("retention.ms").source(), "its source");
        Steps.equal(
                ConfigEntry.ConfigSource.DEFAULT_CONFIG, config.get("max.message.bytes").source(), "a default");
        ConfigResource absent = new ConfigResource(ConfigResource.Type.TOPIC, topic + "-absent");
        Steps.refused(
                UnknownTopicOrPartitionException.class, () -> admin.describeConfigs(List.of(absent)).all().get());
    }

    private void describeBrokerConfigs() throws Exception {
        String node = admin.describeCluster().nodes().get().iterator().next().idString();
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, node);
        Steps.holds(
                !admin.describeConfigs(List.of(broker)).all().get().get(broker).entries().isEmpty(), "entries");
    }

    private void alterConfigs() throws Exception {
        alter(new ConfigEntry("retention.ms", "7200000"), OpType.SET);
        await("the new value", "7200000", () -> config().get("retention.ms").value());
        alter(new ConfigEntry("retention.ms", ""), OpType.DELETE);
        await(
                "the default",
                ConfigEntry.ConfigSource.DEFAULT_CONFIG,
                () -> config().get("retention.ms").source());
        alter(new ConfigEntry("cleanup.policy", "delete"), OpType.APPEND);
        await("the policy", "delete", () -> config().get("cleanup.policy").value());
    }

    private void refusedConfigs() throws Exception {
        Steps.refused(
                InvalidConfigurationException.class,
                () -> alter(new ConfigEntry("no.such.key", "1"), OpType.SET));
        Steps.refused(
                InvalidConfigurationException.class,
                () -> alter(new ConfigEntry("max.message.bytes", "-5"), OpType.SET));
    }

    private void createPartitions() throws Exception {
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
        await(
                "four partitions",
                4,
                () -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
        Steps.refused(
                InvalidPartitionsException.class,
                () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get());
    }

    private void listOffsets() throws Exception {
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, Map.of())) {
            for (int number = 0; number < RECORDS; number++) {
                // The newest record is not the last one, so a maximum cannot be mistaken for an end.
                long timestamp = number == 7 ? 2_000_000L : 1_000_000L + number;
                producer.send(new ProducerRecord<>(topic, 0, timestamp, null, "value")).get();
            }
        }
        Steps.equal(0L, offset(OffsetSpec.earliest()), "earliest");
        Steps.equal((long) RECORDS, offset(OffsetSpec.latest()), "latest");
        Steps.equal(7L, offset(OffsetSpec.maxTimestamp()), "the largest timestamp");
        Steps.equal(5L, offset(OffsetSpec.forTimestamp(1_000_005L)), "a time");
        Steps.equal(-1L, offset(OffsetSpec.forTimestamp(3_000_000L)), "a time after the end");
        Steps.equal(0L, offset(OffsetSpec.earliestLocal()), "earliest local");
        Steps.equal(-1L, offset(OffsetSpec.latestTiered()), "latest tiered");
    }

    private void deleteRecords() throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        long low =
                admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(5)))
                        .lowWatermarks()
                        .get(partition)
                        .get()
                        .lowWatermark();
        Steps.equal(5L, low, "low watermark");
        Steps.equal(5L, offset(OffsetSpec.earliest()), "earliest");
        Steps.refused(
                OffsetOutOfRangeException.class,
                () -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(1000))).all().get());
        admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(-1))).all().get();
        Steps.equal((long) RECORDS, offset(OffsetSpec.earliest()), "all deleted");
    }

    private void describeLogDirs() throws Exception {
        long folders =
                admin.describeLogDirs(nodes()).allDescriptions().get().values().stream()
                        .flatMap(dirs -> dirs.values().stream())
                        .filter(dir -> dir.replicaInfos().containsKey(new TopicPartition(topic, 0)))
                        .count();
        Steps.equal(1L, folders, "folders that hold the only replica");
    }

    private void alterGroupOffsets() throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        offsets.put(new TopicPartition(topic, 0), new OffsetAndMetadata(3, Optional.of(0), "note"));
        offsets.put(new TopicPartition(topic, 1), new OffsetAndMetadata(4));
        admin.alterConsumerGroupOffsets(group, offsets).all().get();
        Map<TopicPartition, OffsetAndMetadata> found = groupOffsets();
        Steps.equal(3L, found.get(new TopicPartition(topic, 0)).offset(), "offset");
        Steps.equal("note", found.get(new TopicPartition(topic, 0)).metadata(), "metadata");
        Steps.equal(4L, found.get(new TopicPartition(topic, 1)).offset(), "offset");
    }

    @SuppressWarnings("deprecation")
    private void listGroups() throws Exception {
        boolean isListed =
                admin.listConsumerGroups().all().get().stream().anyMatch(found -> found.groupId().equals(group));
        Steps.holds(isListed, "the group is listed");
    }

    private void describeGroup() throws Exception {
        ConsumerGroupDescription description =
                admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        Steps.equal(group, description.groupId(), "its id");
        Steps.equal(0, description.members().size(), "members");
        Steps.holds(description.coordinator() != null, "a coordinator");
    }

    private void deleteGroupOffsets() throws Exception {
        TopicPartition partition = new TopicPartition(topic, 1);
        admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
        Steps.equal(null, groupOffsets().get(partition), "the deleted offset");
    }

    private void deleteGroup() throws Exception {
        admin.deleteConsumerGroups(List.of(group)).all().get();
        Steps.refused(
                GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
    }

    private void deleteByName() throws Exception {
        List<String> names = List.of(topic + "-good", topic + "-defaults");
        admin.deleteTopics(names).all().get();
        await(
                "the topics are gone",
                true,
                () -> {
                    List<String> both = new ArrayList<>(admin.listTopics().names().get());
                    both.retainAll(names);
                    return both.isEmpty();
                });
        Steps.refused(
                UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(names).all().get());
    }

    private void deleteById() throws Exception {
        Uuid id = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).topicId();
        admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
        await("the topic is gone", false, () -> admin.listTopics().names().get().contains(topic));
    }

    private Config config() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return admin.describeConfigs(List.of(resource)).all().get().get(resource);
    }

    private void alter(ConfigEntry entry, OpType type) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(entry, type)))).all().get();
    }

    private long offset(OffsetSpec spec) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    private Map<TopicPartition, OffsetAndMetadata> groupOffsets() throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    }

    private interface Look {
        Object at() throws Exception;
    }

    /** Kafka's brokers learn of changes a moment after the controller acknowledged them. */
    private static void await(String what, Object expected, Look look) throws Exception {
        long deadline = System.nanoTime() + Clients.BOUND.toNanos();
        while (!expected.equals(look.at())) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("waited " + Clients.BOUND + " for " + what);
            }
            TimeUnit.MILLISECONDS.sleep(20);
        }
    }
}
