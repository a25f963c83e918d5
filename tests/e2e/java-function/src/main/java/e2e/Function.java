// SPDX-License-Identifier: Apache-2.0
package e2e;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import tmpdump.Tmpdump;
import tmpdump.TmpdumpException;

/**
 * Multiplies two matrices with OpenBLAS. While the function starts it waits for each library right before it needs
 * it; the answer holds the checked product, where the native code came from, and what happened when.
 */
public final class Function implements RequestStreamHandler {
  private static final int NO_DAEMON = 3; // tmpdump.h: this function also runs where another tool filled /tmp
  private static final int WAIT_MS = 30_000;

  private final Timeline timeline = new Timeline();
  private TmpdumpException failure;

  public Function() {
    double begin = Timeline.now();
    try {
      await("libjnijavacpp.so");
      await("libjniopenblas_nolapack.so"); // with all that it needs: OpenBLAS, Fortran's run-time library
      await("libjniopenblas.so");
      double loading = Timeline.now();
      Product.loadOpenBlas();
      timeline.add("load", loading, Timeline.now());
    } catch (TmpdumpException e) {
      failure = e;
    }
    timeline.add("init", begin, Timeline.now());
  }

  private void await(String library) {
    double begin = Timeline.now();
    try {
      if (!Tmpdump.awaitFile("/tmp/lib/" + library, WAIT_MS)) {
        throw new IllegalStateException("the archive holds no lib/" + library);
      }
    } catch (TmpdumpException e) {
      if (e.code() != NO_DAEMON) throw e;
    }
    timeline.add("wait " + library, begin, Timeline.now());
  }

  @Override
  public void handleRequest(InputStream request, OutputStream answer, Context context) throws IOException {
    String json;
    if (failure != null) {
      json = "{\"code\":" + failure.code() + ",\"error\":" + Timeline.quoted(failure.getMessage()) + "}";
    } else {
      double begin = Timeline.now();
      long sum = Product.checked();
      timeline.add("multiply", begin, Timeline.now());
      json = "{\"size\":" + Product.SIZE + ",\"sum\":" + sum + ",\"native\":[" + Mapped.openBlas() + "],\"timeline\":"
          + timeline.json() + "}";
    }
    answer.write(json.getBytes(StandardCharsets.UTF_8));
  }
}
