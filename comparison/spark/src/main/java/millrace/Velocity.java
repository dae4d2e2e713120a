package millrace;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.unix_millis;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.function.FlatMapGroupsWithStateFunction;
import org.apache.spark.api.java.function.MapFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoder;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.streaming.GroupState;
import org.apache.spark.sql.streaming.GroupStateTimeout;
import org.apache.spark.sql.streaming.OutputMode;
import scala.Tuple2;
import scala.Tuple3;

/**
 * The detector's velocity rule alone on Spark Structured Streaming, at least once: more than 10 purchases of one user in 60 s of event time. As a function
 * with a state for each user: sliding windows would sum each purchase 60 times, and see a burst no sooner than their watermark. Spark hands the function
 * a user's transactions of a batch in no order, so they are judged in that of event time, where the detector has that of arrival: an alert may begin a
 * few transactions sooner or later. No ids are remembered: a transaction that was sent twice counts twice. No user is forgotten, as the detector
 * forgets none within a day.
 */
public final class Velocity {
  /** User, event time, whether it is a refund. */
  private static final Encoder<Tuple3<String, Long, Boolean>> STEP = Encoders.tuple(Encoders.STRING(), Encoders.LONG(), Encoders.BOOLEAN());

  public static void main(String[] arguments) throws Exception {
    Job job = new Job("Velocity", arguments);
    Dataset<Tuple2<String, String>> alerts =
        job.transactions()
            .select(col("userId"), unix_millis(col("time")), col("isRefund"))
            .as(STEP)
            .groupByKey((MapFunction<Tuple3<String, Long, Boolean>, String>) step -> step._1(), Encoders.STRING())
            .flatMapGroupsWithState(
                (FlatMapGroupsWithStateFunction<String, Tuple3<String, Long, Boolean>, Burst, Tuple2<String, String>>) Velocity::judge,
                OutputMode.Update(),
                Encoders.bean(Burst.class),
                Encoders.tuple(Encoders.STRING(), Encoders.STRING()),
                GroupStateTimeout.NoTimeout());
    job.run(alerts.toDF("key", "value"));
  }

  private static Iterator<Tuple2<String, String>> judge(
      String user, Iterator<Tuple3<String, Long, Boolean>> steps, GroupState<Burst> state) {
    List<Tuple3<String, Long, Boolean>> inOrder = new ArrayList<>();
    steps.forEachRemaining(inOrder::add);
    inOrder.sort(Comparator.comparing(Tuple3::_2));
    Burst burst = state.exists() ? state.get() : new Burst();
    List<Tuple2<String, String>> alerts = new ArrayList<>();
    for (Tuple3<String, Long, Boolean> step : inOrder) {
      if (burst.add(step._2(), step._3())) {
        alerts.add(new Tuple2<>(user, text(burst.getTimes())));
      }
    }
    state.update(burst);
    return alerts.iterator();
  }

  private static String text(long[] times) {
    return "{\"rule\":\"velocity\",\"purchases\":%d,\"first\":%d,\"last\":%d}".formatted(times.length, times[0], times[times.length - 1]);
  }
}
