package millrace;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * The aggregator's work on Kafka Streams, exactly once: purchases and refunds of each merchant and currency in windows of a minute.
 * It does less: no ids are remembered, no users are counted, and results are those of the moment, at each commit. Ends when all that was there at its start is committed, and prints what
 * that took.
 */
public final class MerchantAggregates {
  /** A decimal of four places as an integer. */
  private static final double UNITS = 10_000;
  /**
   * Beyond what a backlog covers. Its partitions are not read in step, and after the repartitioning there is one clock for what came from all of
   * them: with a grace of 5 s, 3.5 of 12 million records were left out as too late.
   */
  private static final Duration GRACE = Duration.ofHours(1);

  public static void main(String[] arguments) throws Exception {
    if (arguments.length < 4) {
      System.err.println("usage: MerchantAggregates BOOTSTRAP_SERVERS INPUT_TOPIC OUTPUT_TOPIC SCHEMA_FILE [THREADS]");
      System.exit(2);
    }
    String servers = arguments[0];
    String input = arguments[1];
    Schema schema = Decoder.schema(Path.of(arguments[3]));
    String application = input + "-kafka-streams-" + System.currentTimeMillis();
    Properties settings = new Properties();
    settings.putAll(Map.of(
        StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers,
        StreamsConfig.APPLICATION_ID_CONFIG, application,
        StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2,
        StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100,
        StreamsConfig.REPLICATION_FACTOR_CONFIG, 3,
        StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments.length > 4 ? Integer.parseInt(arguments[4]) : 2,
        StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir") + "/" + application,
        StreamsConfig.producerPrefix("compression.type"), "lz4",
        StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest"));
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers));
        KafkaStreams streams = new KafkaStreams(topology(input, arguments[2], schema).build(), settings)) {
      create(admin, arguments[2]);
      Map<TopicPartition, Long> ends = ends(admin, input);
      long records = ends.values().stream().mapToLong(Long::longValue).sum();
      long started = System.nanoTime();
      streams.start();
      while (!isDone(admin, application, ends)) {
        if (streams.state() == KafkaStreams.State.ERROR) {
          throw new IllegalStateException("Kafka Streams has stopped with an error");
        }
        Thread.sleep(200);
      }
      double wall = (System.nanoTime() - started) / 1e9;
      double processor = processorSeconds();
      System.out.printf(
          "%d records in %.1f s: %.0f/s; %.1f s of processor time: %.0f records a CPU second%n",
          records, wall, records / wall, processor, records / processor);
    }
  }

  private static StreamsBuilder topology(String input, String output, Schema schema) {
    ThreadLocal<Decoder> decoder = ThreadLocal.withInitial(() -> new Decoder(schema));
    StreamsBuilder builder = new StreamsBuilder();
    builder
        .stream(
            input,
            Consumed.with(Serdes.ByteArray(), Serdes.ByteArray())
                .withTimestampExtractor((record, before) ->
                    (Long) decoder.get().read((byte[]) record.value()).get("transactionTime")))
        .map((user, value) -> one(decoder.get().read(value)))
        .groupByKey(Grouped.with("by-merchant", Serdes.String(), Totals.serde()))
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), GRACE))
        .aggregate(() -> Totals.NONE, (key, one, sum) -> sum.plus(one), Materialized.with(Serdes.String(), Totals.serde()))
        .toStream((window, totals) -> window.key() + "|" + window.window().start())
        .to(output, Produced.with(Serdes.String(), Totals.serde()));
    return builder;
  }

  private static KeyValue<String, Totals> one(GenericRecord record) {
    long units = Math.round((Double) record.get("amount") * UNITS);
    boolean isRefund = record.get("transactionType").toString().equals("refund");
    Totals totals = isRefund
        ? new Totals(0, 1, 0, units, units, units)
        : new Totals(1, 0, units, 0, units, units);
    return KeyValue.pair(record.get("merchantId") + "|" + record.get("currency"), totals);
  }

  /** Makes the output topic as Millrace's own is, if it is not there. */
  private static void create(Admin admin, String topic) throws Exception {
    if (!admin.listTopics().names().get().contains(topic)) {
      admin.createTopics(List.of(new NewTopic(topic, 3, (short) 3))).all().get();
    }
  }

  private static Map<TopicPartition, Long> ends(Admin admin, String topic) throws Exception {
    Map<TopicPartition, OffsetSpec> wanted =
        admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().stream()
            .collect(Collectors.toMap(it -> new TopicPartition(topic, it.partition()), it -> OffsetSpec.latest()));
    return admin.listOffsets(wanted).all().get().entrySet().stream()
        .collect(Collectors.toMap(Map.Entry::getKey, it -> it.getValue().offset()));
  }

  private static boolean isDone(Admin admin, String group, Map<TopicPartition, Long> ends) throws Exception {
    var committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    return ends.entrySet().stream().allMatch(end -> {
      var offset = committed.get(end.getKey());
      return end.getValue() == 0 || offset != null && offset.offset() >= end.getValue();
    });
  }

  /** Of this process, from its start. */
  private static double processorSeconds() {
    var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return system.getProcessCpuTime() / 1e9;
  }
}
