// SPDX-License-Identifier: Apache-2.0
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.concurrent.CompletableFuture;
import tmpdump.Tmpdump;
import tmpdump.TmpdumpException;

/** The Java binding against a daemon process: ClientTest MANIFEST_DAEMON, with TMPDUMP_DEST set. */
public final class ClientTest {
  private static Process daemon;
  private static BufferedReader answers;

  public static void main(String[] arguments) throws Exception {
    String destination = System.getenv("TMPDUMP_DEST");
    removeOldManifest(Paths.get(destination, ".tmpdump"));
    expectFailure(3, () -> Tmpdump.await(-1)); // no daemon
    check(!Tmpdump.awaitFile("/usr/lib/libc.so.6", -1), "a system library is not ours");

    daemon = new ProcessBuilder(arguments[0], destination).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    answers = new BufferedReader(new InputStreamReader(daemon.getInputStream(), StandardCharsets.UTF_8));
    check("ok".equals(answers.readLine()), "the daemon started");
    // \uD83D\uDCA9 is beyond the BMP: the JNI's own UTF-8 would spell it differently.
    order("list lib/a.so=b.so lib/b.so lib/\uD83D\uDCA9.so lib/never.so");
    expectFailure(2, () -> Tmpdump.awaitFile("lib/a.so", 0));
    check(!Tmpdump.awaitFile("lib/none.so", -1), "not in the archive");
    CompletableFuture<Boolean> ready =
        CompletableFuture.supplyAsync(() -> Tmpdump.awaitFile(destination + "/lib/a.so", -1));
    order("publish lib/a.so");
    order("publish lib/b.so");
    check(ready.get(), "published");
    order("publish lib/\uD83D\uDCA9.so");
    check(Tmpdump.awaitFile("lib/\uD83D\uDCA9.so", -1), "any name");
    expectFailure(9, () -> Tmpdump.awaitFile("", 0));
    expectFailure(9, () -> Tmpdump.awaitFile("lib/a.so\0x", 0));
    order("fail bucket gone");
    TmpdumpException failure = expectFailure(5, () -> Tmpdump.awaitFile("lib/never.so", -1));
    check("lib/never.so: bucket gone".equals(failure.getMessage()), failure.getMessage());
    daemon.getOutputStream().close();
    check(daemon.waitFor() == 0, "the daemon's end");
    System.out.println("ClientTest: ok on Java " + System.getProperty("java.version"));
  }

  private static void removeOldManifest(Path directory) throws IOException {
    for (String name : new String[] {"manifest", "manifest.previous", "lock", ""}) {
      Files.deleteIfExists(directory.resolve(name));
    }
  }

  private static void order(String line) throws IOException {
    OutputStream orders = daemon.getOutputStream();
    orders.write((line + "\n").getBytes(StandardCharsets.UTF_8));
    orders.flush();
    check("ok".equals(answers.readLine()), line);
  }

  private static TmpdumpException expectFailure(int code, Runnable call) {
    try {
      call.run();
    } catch (TmpdumpException failure) {
      check(failure.code() == code, "code " + failure.code() + " instead of " + code + ": " + failure.getMessage());
      return failure;
    }
    throw new AssertionError("no failure, expected " + code);
  }

  private static void check(boolean holds, String what) {
    if (!holds) throw new AssertionError(what);
  }
}
