package millrace;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.avro.Schema;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;

/** What both jobs have in common: Flink in this process, exactly once from Kafka to Kafka, up to what the topic has at the start. */
final class Job {
  /** How often results are committed: they are seen when a checkpoint is complete. */
  private static final Duration CHECKPOINT = Duration.ofSeconds(1);
  /** Flink asks for an hour otherwise, which a broker refuses: it allows 15 minutes. */
  private static final String TRANSACTION_TIMEOUT_MS = "600000";

  final StreamExecutionEnvironment flink;
  final Schema schema;
  private final String name;
  private final String servers;
  private final String input;
  private final String output;
  private final Map<TopicPartition, Long> ends;

  Job(String name, String[] arguments) throws Exception {
    if (arguments.length < 4) {
      System.err.println("usage: " + name + " BOOTSTRAP_SERVERS INPUT_TOPIC OUTPUT_TOPIC SCHEMA_FILE [PARALLELISM]");
      System.exit(2);
    }
    servers = arguments[0];
    input = arguments[1];
    output = arguments[2];
    schema = Decoder.schema(Path.of(arguments[3]));
    this.name = input + "-flink-" + name + "-" + System.currentTimeMillis();
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
      create(admin, output);
      ends = ends(admin, input);
    }
    Configuration settings = new Configuration();
    settings.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
    settings.set(
        CheckpointingOptions.CHECKPOINTS_DIRECTORY, Path.of(System.getProperty("java.io.tmpdir"), this.name).toUri().toString());
    // A measurement with a failure in it is none: Flink would start again from the last checkpoint, as often as it takes.
    settings.set(RestartStrategyOptions.RESTART_STRATEGY, "none");
    int parallelism = arguments.length > 4 ? Integer.parseInt(arguments[4]) : 2;
    flink = StreamExecutionEnvironment.createLocalEnvironment(parallelism, settings);
    flink.enableCheckpointing(CHECKPOINT.toMillis(), CheckpointingMode.EXACTLY_ONCE);
  }

  <T> KafkaSource<T> source(DeserializationSchema<T> reader) {
    return KafkaSource.<T>builder()
        .setBootstrapServers(servers)
        .setTopics(input)
        .setGroupId(name)
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setBounded(OffsetsInitializer.offsets(ends))
        .setValueOnlyDeserializer(reader)
        .build();
  }

  KafkaSink<Result> sink() {
    return KafkaSink.<Result>builder()
        .setBootstrapServers(servers)
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(name)
        .setProperty("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
        .setProperty("compression.type", "lz4")
        .setRecordSerializer(new Result.Writer(output))
        .build();
  }

  /** Runs the job to its end, when all is committed, and prints what that took. */
  JobExecutionResult run() throws Exception {
    long records = ends.values().stream().mapToLong(Long::longValue).sum();
    long started = System.nanoTime();
    JobExecutionResult result = flink.execute(name);
    double wall = (System.nanoTime() - started) / 1e9;
    double processor = processorSeconds();
    System.out.printf(
        "%d records in %.1f s: %.0f/s; %.1f s of processor time: %.0f records a CPU second%n",
        records, wall, records / wall, processor, records / processor);
    return result;
  }

  /** Makes the output topic as Millrace's own is, if it is not there. */
  private static void create(Admin admin, String topic) throws Exception {
    if (!admin.listTopics().names().get().contains(topic)) {
      int brokers = admin.describeCluster().nodes().get().size();
      admin.createTopics(List.of(new NewTopic(topic, 3, (short) Math.min(3, brokers)))).all().get();
    }
  }

  private static Map<TopicPartition, Long> ends(Admin admin, String topic) throws Exception {
    Map<TopicPartition, OffsetSpec> wanted =
        admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().stream()
            .collect(Collectors.toMap(it -> new TopicPartition(topic, it.partition()), it -> OffsetSpec.latest()));
    return admin.listOffsets(wanted).all().get().entrySet().stream()
        .collect(Collectors.toMap(Map.Entry::getKey, it -> it.getValue().offset()));
  }

  /** Of this process, from its start. */
  private static double processorSeconds() {
    var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return system.getProcessCpuTime() / 1e9;
  }
}
