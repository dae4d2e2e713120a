package millrace;

import java.time.Duration;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * The aggregator's work on Flink, exactly once: purchases and refunds of each merchant and currency in windows of a minute, written once, when the
 * watermark has passed a window's end. It does less: no ids are remembered, no users are counted. Ends when all that was there at its start is
 * committed, and prints what that took.
 */
public final class MerchantAggregates {
  private static final String LATE = "late";
  /** Merchant and currency, event time, units, whether it is a refund: a tuple, as those are what Flink serializes fastest. */
  private static final TypeInformation<Tuple4<String, Long, Long, Boolean>> PAYMENT = TypeInformation.of(new TypeHint<>() {});
  private static final OutputTag<Tuple4<String, Long, Long, Boolean>> TOO_LATE = new OutputTag<>(LATE, PAYMENT);

  public static void main(String[] arguments) throws Exception {
    Job job = new Job("MerchantAggregates", arguments);
    SingleOutputStreamOperator<Result> results =
        job.flink
            .fromSource(
                job.source(
                    new Transactions<>(
                        job.schema,
                        PAYMENT,
                        record ->
                            Tuple4.of(
                                record.get("merchantId") + "|" + record.get("currency"),
                                Transactions.time(record),
                                Transactions.units(record),
                                Transactions.isRefund(record)))),
                // Of each partition by itself, as the source does it: a backlog's partitions are not read in step.
                WatermarkStrategy.<Tuple4<String, Long, Long, Boolean>>forBoundedOutOfOrderness(Duration.ofSeconds(5))
                    .withTimestampAssigner((payment, before) -> payment.f1)
                    .withIdleness(Duration.ofSeconds(15)),
                "transactions")
            .keyBy(payment -> payment.f0)
            .window(TumblingEventTimeWindows.of(Duration.ofMinutes(1)))
            .sideOutputLateData(TOO_LATE)
            .aggregate(new Sum(), new WithWindow());
    results.sinkTo(job.sink());
    results.getSideOutput(TOO_LATE).map(new Count()).sinkTo(new DiscardingSink<>());
    Long late = job.run().getAccumulatorResult(LATE);
    System.out.printf("%d left out as too late%n", late == null ? 0 : late);
  }

  private static final class Sum implements AggregateFunction<Tuple4<String, Long, Long, Boolean>, Totals, Totals> {
    @Override
    public Totals createAccumulator() {
      return new Totals();
    }

    @Override
    public Totals add(Tuple4<String, Long, Long, Boolean> payment, Totals totals) {
      totals.add(payment.f2, payment.f3);
      return totals;
    }

    @Override
    public Totals getResult(Totals totals) {
      return totals;
    }

    @Override
    public Totals merge(Totals one, Totals other) {
      one.add(other);
      return one;
    }
  }

  private static final class WithWindow extends ProcessWindowFunction<Totals, Result, String, TimeWindow> {
    @Override
    public void process(String key, Context context, Iterable<Totals> totals, Collector<Result> results) {
      results.collect(new Result(key + "|" + context.window().getStart(), totals.iterator().next().toBytes()));
    }
  }

  private static final class Count extends RichMapFunction<Tuple4<String, Long, Long, Boolean>, Long> {
    private final LongCounter late = new LongCounter();

    @Override
    public void open(OpenContext context) {
      getRuntimeContext().addAccumulator(LATE, late);
    }

    @Override
    public Long map(Tuple4<String, Long, Long, Boolean> payment) {
      late.add(1L);
      return payment.f1;
    }
  }
}
