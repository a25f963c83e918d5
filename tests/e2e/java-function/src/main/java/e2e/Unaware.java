// SPDX-License-Identifier: Apache-2.0
package e2e;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** Multiplies two matrices with OpenBLAS as any program would: it knows nothing of how the library comes to be there. */
public final class Unaware implements RequestStreamHandler {
  static {
    String library = System.getenv("TEST_LOAD_LIBRARY");
    if (library != null) {
      System.loadLibrary(library);
    }
    Product.loadOpenBlas();
  }

  @Override
  public void handleRequest(InputStream request, OutputStream answer, Context context) throws IOException {
    String loader = Unaware.class.getClassLoader().getClass().getSimpleName();
    String json = "{\"sum\":" + Product.checked() + ",\"native\":[" + Mapped.openBlas() + "],\"loader\":\"" + loader
        + "\",\"java\":\"" + System.getProperty("java.vendor") + "\"}";
    answer.write(json.getBytes(StandardCharsets.UTF_8));
  }
}
