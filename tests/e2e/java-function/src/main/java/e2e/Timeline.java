// SPDX-License-Identifier: Apache-2.0
package e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** What happened when: CLOCK_MONOTONIC in seconds, which System.nanoTime() is on Linux. */
final class Timeline {
  private final List<String> events = new ArrayList<>();

  static double now() {
    return System.nanoTime() / 1e9;
  }

  void add(String what, double begin, double end) {
    events.add(String.format(Locale.ROOT, "{\"what\":%s,\"begin\":%.6f,\"end\":%.6f}", quoted(what), begin, end));
  }

  String json() {
    return "[" + String.join(",", events) + "]";
  }

  static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < ' ') {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    return out.append('"').toString();
  }
}
