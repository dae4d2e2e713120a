package millrace;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.concat;
import static org.apache.spark.sql.functions.concat_ws;
import static org.apache.spark.sql.functions.count_if;
import static org.apache.spark.sql.functions.hex;
import static org.apache.spark.sql.functions.lpad;
import static org.apache.spark.sql.functions.max;
import static org.apache.spark.sql.functions.min;
import static org.apache.spark.sql.functions.not;
import static org.apache.spark.sql.functions.sum;
import static org.apache.spark.sql.functions.unhex;
import static org.apache.spark.sql.functions.unix_millis;
import static org.apache.spark.sql.functions.when;
import static org.apache.spark.sql.functions.window;

import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;

/**
 * The aggregator's work on Spark Structured Streaming, at least once, as its Kafka sink has no transactions: purchases and refunds of each merchant and
 * currency in windows of a minute. It does less: no ids are remembered, no users are counted, and results are those of the moment, at the end of each
 * batch; Spark would not write the last windows of all otherwise, as nothing comes after them that closes them. Ends when all that was there at its
 * start is written, and prints what that took.
 */
public final class MerchantAggregates {
  public static void main(String[] arguments) throws Exception {
    Job job = new Job("MerchantAggregates", arguments);
    Dataset<Row> totals =
        job.transactions()
            // Spark has one watermark for all partitions, and moves it between batches only: it takes as much of each partition as there is left of it.
            .withWatermark("time", "5 seconds")
            .groupBy(window(col("time"), "1 minute"), col("merchantId"), col("currency"))
            .agg(
                count_if(not(col("isRefund"))).as("purchases"),
                count_if(col("isRefund")).as("refunds"),
                sum(when(col("isRefund"), 0L).otherwise(col("units"))).as("purchaseUnits"),
                sum(when(col("isRefund"), col("units")).otherwise(0L)).as("refundUnits"),
                min(col("units")).as("minUnits"),
                max(col("units")).as("maxUnits"));
    job.run(
        totals.select(
            concat_ws("|", col("merchantId"), col("currency"), unix_millis(col("window.start"))).as("key"),
            concat(
                    bytes("purchases"),
                    bytes("refunds"),
                    bytes("purchaseUnits"),
                    bytes("refundUnits"),
                    bytes("minUnits"),
                    bytes("maxUnits"))
                .as("value")));
  }

  /** Eight bytes, the highest first, as the program on Kafka Streams writes them. */
  private static Column bytes(String number) {
    return unhex(lpad(hex(col(number)), 16, "0"));
  }
}
