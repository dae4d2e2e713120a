package millrace;

import static org.apache.spark.sql.avro.functions.from_avro;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.expr;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.rint;

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.OutputMode;
import org.apache.spark.sql.streaming.StreamingQuery;
import org.apache.spark.sql.streaming.StreamingQueryListener;
import org.apache.spark.sql.streaming.Trigger;

/** What both jobs have in common: Spark in this process, at least once from Kafka to Kafka, up to what the topic has at the start. */
final class Job {
  /** Most records of a batch, after which results are written, if not said. With all in one batch it would be no stream. */
  private static final String BATCH = "1000000";
  /** A decimal of four places as an integer. */
  private static final int UNITS = 10_000;

  private final SparkSession spark;
  private final String name;
  private final String servers;
  private final String input;
  private final String output;
  private final String schema;
  private final String batch;
  private final Progress progress = new Progress();

  Job(String name, String[] arguments) throws Exception {
    if (arguments.length < 4) {
      System.err.println("usage: " + name + " BOOTSTRAP_SERVERS INPUT_TOPIC OUTPUT_TOPIC SCHEMA_FILE [THREADS [RECORDS_OF_A_BATCH]]");
      System.exit(2);
    }
    servers = arguments[0];
    input = arguments[1];
    output = arguments[2];
    schema = Files.readString(Path.of(arguments[3]));
    this.name = input + "-spark-" + name + "-" + System.currentTimeMillis();
    String threads = arguments.length > 4 ? arguments[4] : "2";
    batch = arguments.length > 5 ? arguments[5] : BATCH;
    create(servers, output);
    spark =
        SparkSession.builder()
            .appName(this.name)
            .master("local[" + threads + "]")
            .config("spark.ui.enabled", false)
            // One for each thread: the 200 that are the default are for a cluster.
            .config("spark.sql.shuffle.partitions", threads)
            .getOrCreate();
    spark.streams().addListener(progress);
  }

  /** The input: userId, merchantId, currency, time, units and isRefund. */
  Dataset<Row> transactions() {
    return spark
        .readStream()
        .format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("subscribe", input)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", batch)
        .load()
        // After the magic byte and the schema's id.
        .select(from_avro(expr("substring(value, 6)"), schema).as("it"))
        .select(
            col("it.userId"),
            col("it.merchantId"),
            col("it.currency"),
            col("it.transactionTime").as("time"),
            rint(col("it.amount").multiply(lit(UNITS))).cast("long").as("units"),
            col("it.transactionType").equalTo("refund").as("isRefund"));
  }

  /** Writes keys and values to their end, and prints what all of it took. */
  void run(Dataset<Row> results) throws Exception {
    long started = System.nanoTime();
    StreamingQuery query =
        results
            .writeStream()
            .format("kafka")
            .option("kafka.bootstrap.servers", servers)
            .option("kafka.compression.type", "lz4")
            .option("topic", output)
            .option("checkpointLocation", Path.of(System.getProperty("java.io.tmpdir"), name).toString())
            .outputMode(OutputMode.Update())
            .trigger(Trigger.AvailableNow())
            .start();
    query.awaitTermination();
    double wall = (System.nanoTime() - started) / 1e9;
    double processor = processorSeconds();
    // What listeners are told comes later; when Spark has stopped all of it has come.
    spark.stop();
    System.out.printf(
        "%d records in %.1f s: %.0f/s; %.1f s of processor time: %.0f records a CPU second%n",
        progress.records, wall, progress.records / wall, processor, progress.records / processor);
    System.out.printf("%d batches; %d sums left out as too late%n", progress.batches, progress.late);
  }

  private static final class Progress extends StreamingQueryListener {
    private long records;
    private long batches;
    private long late;

    @Override
    public void onQueryStarted(QueryStartedEvent event) {}

    @Override
    public void onQueryProgress(QueryProgressEvent event) {
      records += event.progress().numInputRows();
      batches++;
      late += Arrays.stream(event.progress().stateOperators()).mapToLong(it -> it.numRowsDroppedByWatermark()).sum();
    }

    @Override
    public void onQueryTerminated(QueryTerminatedEvent event) {}
  }

  /** Makes the output topic as Millrace's own is, if it is not there. */
  private static void create(String servers, String topic) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
      if (!admin.listTopics().names().get().contains(topic)) {
        int brokers = admin.describeCluster().nodes().get().size();
        admin.createTopics(List.of(new NewTopic(topic, 3, (short) Math.min(3, brokers)))).all().get();
      }
    }
  }

  /** Of this process, from its start. */
  private static double processorSeconds() {
    var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return system.getProcessCpuTime() / 1e9;
  }
}
