import java.util.List;

/** Formats the storage of several nodes in one JVM: {@code Format CLUSTER_ID CONFIG...}. */
public final class Format {
  public static void main(String[] arguments) {
    for (String config : List.of(arguments).subList(1, arguments.length)) {
      int status = kafka.tools.StorageTool.execute(
          new String[] {"format", "--ignore-formatted", "--cluster-id", arguments[0], "--config", config}, System.out);
      if (status != 0) System.exit(status);
    }
  }
}
