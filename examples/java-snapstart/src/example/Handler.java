// SPDX-License-Identifier: Apache-2.0
package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;

/** The function's whole code: the library is in the tmpdump, and loading it waits for it. */
public final class Handler implements RequestHandler<Map<String, Object>, Integer> {
  static {
    System.loadLibrary("example");
  }

  private static native int answer();

  @Override
  public Integer handleRequest(Map<String, Object> event, Context context) {
    return answer();
  }
}
