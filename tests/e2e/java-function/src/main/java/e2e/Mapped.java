// SPDX-License-Identifier: Apache-2.0
package e2e;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeSet;

/** Where this process's native code came from. */
final class Mapped {
  private Mapped() {}

  /** The paths of OpenBLAS's libraries that this process has mapped, as the elements of a JSON array. */
  static String openBlas() throws IOException {
    TreeSet<String> paths = new TreeSet<>();
    for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
      int path = line.indexOf('/');
      if (path >= 0 && line.contains("openblas") && line.contains(".so")) {
        paths.add(Timeline.quoted(line.substring(path)));
      }
    }
    return String.join(",", paths);
  }
}
