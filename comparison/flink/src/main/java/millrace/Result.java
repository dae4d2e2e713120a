package millrace;

import java.nio.charset.StandardCharsets;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** A record to be written. With public fields that can be set, as Flink then serializes it field by field. */
public final class Result {
  public String key;
  public byte[] value;

  public Result() {}

  Result(String key, byte[] value) {
    this.key = key;
    this.value = value;
  }

  /** A class and no lambda, whose types Flink could not find out. */
  record Writer(String topic) implements KafkaRecordSerializationSchema<Result> {
    @Override
    public ProducerRecord<byte[], byte[]> serialize(Result result, KafkaSinkContext context, Long timestamp) {
      return new ProducerRecord<>(topic, result.key.getBytes(StandardCharsets.UTF_8), result.value);
    }
  }
}
