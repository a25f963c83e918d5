// SPDX-License-Identifier: Apache-2.0
package tmpdump;

import java.nio.charset.StandardCharsets;

/**
 * Waits for the files that tmpdump brings, from Java 8 on and without other libraries. Thread-safe.
 *
 * <pre>
 * Tmpdump.awaitFile("/tmp/lib/libtorch.so", 8000);
 * System.load("/tmp/lib/libtorch.so");
 * </pre>
 *
 * libtmpdump.so is found through the system property {@code tmpdump.library} (its absolute path), else as
 * {@code System.loadLibrary("tmpdump")} does (java.library.path; on Lambda that includes /opt/lib).
 */
public final class Tmpdump {
  static {
    String library = System.getProperty("tmpdump.library");
    if (library != null && !library.isEmpty()) {
      System.load(library);
    } else {
      System.loadLibrary("tmpdump");
    }
  }

  private static final int OK = 0;
  private static final int NOT_IN_ARCHIVE = 1;

  private Tmpdump() {}

  /**
   * Waits until every file of the archive is at its place.
   *
   * @param timeoutMillis 0: looks and returns at once; negative: no limit, yet a daemon that fails or dies ends
   *     the wait
   * @throws TmpdumpException when that will not be, or not within the limit
   */
  public static void await(int timeoutMillis) {
    int code = wait0(timeoutMillis);
    if (code != OK) throw failure(code, "");
  }

  /**
   * Waits until the file, and of the archive all that it needs, is at its place.
   *
   * @param path absolute, or relative to the destination
   * @return false at once if the archive holds no such file, or the path is not below the destination
   * @throws TmpdumpException as {@link #await(int)}
   */
  public static boolean awaitFile(String path, int timeoutMillis) {
    int code = waitFile0(path.getBytes(StandardCharsets.UTF_8), timeoutMillis);
    if (code == NOT_IN_ARCHIVE) return false;
    if (code != OK) throw failure(code, path + ": ");
    return true;
  }

  private static TmpdumpException failure(int code, String context) {
    return new TmpdumpException(code, context + new String(describe0(code), StandardCharsets.UTF_8));
  }

  private static native int wait0(int timeoutMillis);

  private static native int waitFile0(byte[] path, int timeoutMillis);

  private static native byte[] describe0(int code);
}
