package millrace;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * The detector's velocity rule alone on Flink, exactly once: more than 10 purchases of one user in 60 s of event time. Like the detector it judges each
 * transaction when it comes, so no watermark is needed. No ids are remembered: a transaction that was sent twice counts twice. No user is forgotten, as
 * the detector forgets none within a day.
 */
public final class Velocity {
  /** User, event time, whether it is a refund: a tuple, as those are what Flink serializes fastest. */
  private static final TypeInformation<Tuple3<String, Long, Boolean>> STEP = TypeInformation.of(new TypeHint<>() {});

  public static void main(String[] arguments) throws Exception {
    Job job = new Job("Velocity", arguments);
    job.flink
        .fromSource(
            job.source(
                new Transactions<>(
                    job.schema,
                    STEP,
                    record -> Tuple3.of(record.get("userId").toString(), Transactions.time(record), Transactions.isRefund(record)))),
            WatermarkStrategy.noWatermarks(),
            "transactions")
        .keyBy(step -> step.f0)
        .process(new Rule())
        .sinkTo(job.sink());
    job.run();
  }

  private static final class Rule extends KeyedProcessFunction<String, Tuple3<String, Long, Boolean>, Result> {
    private ValueState<Burst> bursts;

    @Override
    public void open(OpenContext context) {
      bursts = getRuntimeContext().getState(new ValueStateDescriptor<>("burst", Burst.class));
    }

    @Override
    public void processElement(Tuple3<String, Long, Boolean> step, Context context, Collector<Result> results) throws Exception {
      Burst burst = bursts.value();
      if (burst == null) {
        burst = new Burst();
      }
      if (burst.add(step.f1, step.f2)) {
        results.collect(new Result(step.f0, text(burst)));
      }
      bursts.update(burst);
    }

    private static byte[] text(Burst burst) {
      long first = burst.times[0];
      long last = burst.times[burst.times.length - 1];
      String text = "{\"rule\":\"velocity\",\"purchases\":%d,\"first\":%d,\"last\":%d}".formatted(burst.times.length, first, last);
      return text.getBytes(StandardCharsets.UTF_8);
    }
  }
}
