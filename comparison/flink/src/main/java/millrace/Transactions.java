package millrace;

import java.io.Serializable;
import java.util.function.Function;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/** Takes from each transaction what a job needs, so that nothing else is sent between Flink's tasks. */
final class Transactions<T> implements DeserializationSchema<T> {
  /** A decimal of four places as an integer. */
  private static final double UNITS = 10_000;

  interface Part<T> extends Function<GenericRecord, T>, Serializable {}

  /** As text: Avro's own schemas need not be serializable. */
  private final String schema;
  private final Part<T> part;
  private final TypeInformation<T> type;
  private transient Decoder decoder;

  Transactions(Schema schema, TypeInformation<T> type, Part<T> part) {
    this.schema = schema.toString();
    this.type = type;
    this.part = part;
  }

  @Override
  public void open(InitializationContext context) {
    decoder = new Decoder(new Schema.Parser().parse(schema));
  }

  @Override
  public T deserialize(byte[] value) {
    return part.apply(decoder.read(value));
  }

  @Override
  public boolean isEndOfStream(T next) {
    return false;
  }

  @Override
  public TypeInformation<T> getProducedType() {
    return type;
  }

  static long time(GenericRecord record) {
    return (Long) record.get("transactionTime");
  }

  static long units(GenericRecord record) {
    return Math.round((Double) record.get("amount") * UNITS);
  }

  static boolean isRefund(GenericRecord record) {
    return record.get("transactionType").toString().equals("refund");
  }
}
