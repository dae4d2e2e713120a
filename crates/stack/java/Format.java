import java.util.ArrayList;
import java.util.List;

/**
 * Formats the storage of several nodes in one JVM: {@code Format CLUSTER_ID CONFIG...}. The variable {@code SCRAM_USERS} has
 * the users to make, a line each, as {@code SCRAM-SHA-512=[name=...,password=...]}.
 */
public final class Format {
  public static void main(String[] arguments) {
    List<String> users = System.getenv().getOrDefault("SCRAM_USERS", "").lines().toList();
    for (String config : List.of(arguments).subList(1, arguments.length)) {
      List<String> command =
          new ArrayList<>(List.of("format", "--ignore-formatted", "--cluster-id", arguments[0], "--config", config));
      for (String user : users) command.addAll(List.of("--add-scram", user));
      int status = kafka.tools.StorageTool.execute(command.toArray(String[]::new), System.out);
      if (status != 0) System.exit(status);
    }
  }
}
