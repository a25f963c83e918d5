// SPDX-License-Identifier: Apache-2.0
package invoke;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.opencv.global.opencv_core;
import org.bytedeco.opencv.global.opencv_imgproc;
import org.bytedeco.opencv.opencv_core.Mat;
import org.bytedeco.opencv.opencv_core.Scalar;
import org.bytedeco.opencv.opencv_core.Size;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Loads three libraries while it starts, as a function that keeps its model in a static field does, and uses each. */
public final class Function implements RequestStreamHandler {
  // What happened when: CLOCK_MONOTONIC in seconds, which System.nanoTime() is on Linux.
  private static final List<String> steps = new ArrayList<>();

  static {
    step("started", () -> {});
    step("openblas", () -> Loader.load(openblas.class));
    step("opencv", () -> Loader.load(opencv_imgproc.class));
    step("torch", () -> Loader.load(torch.class));
  }

  private static void step(String what, Runnable work) {
    double begin = System.nanoTime() / 1e9;
    work.run();
    steps.add(String.format(Locale.ROOT, "{\"what\":\"%s\",\"begin\":%.6f,\"end\":%.6f}", what, begin,
        System.nanoTime() / 1e9));
  }

  /** To record what is loaded (JavaCPP's debug log) on a machine that has the natives on its class path. */
  public static void main(String[] arguments) {
    System.out.println(work());
  }

  @Override
  public void handleRequest(InputStream request, OutputStream answer, Context context) throws IOException {
    answer.write(work().getBytes(StandardCharsets.UTF_8));
  }

  private static String work() {
    double[] results = new double[3];
    step("work", () -> {
      results[0] = dot();
      results[1] = pixels();
      results[2] = product();
    });
    return String.format(Locale.ROOT, "{\"openblas\":%.0f,\"opencv\":%.0f,\"torch\":%.0f,\"steps\":[%s]}", results[0],
        results[1], results[2], String.join(",", steps));
  }

  /** 0 * 1 + 1 * 2 + … + 99 * 100 = 333300. */
  private static double dot() {
    double[] a = new double[100];
    double[] b = new double[100];
    for (int i = 0; i < a.length; i++) {
      a[i] = i;
      b[i] = i + 1;
    }
    return openblas.cblas_ddot(a.length, a, 1, b, 1);
  }

  /** 50 by 60 white pixels, enlarged to 100 by 120: 12000. */
  private static double pixels() {
    try (Mat image = new Mat(50, 60, opencv_core.CV_8UC1, new Scalar(255.0));
        Mat scaled = new Mat()) {
      opencv_imgproc.resize(image, scaled, new Size(120, 100));
      return opencv_core.countNonZero(scaled);
    }
  }

  /** The sum of a product of matrices of ones, 64 by 64: 64 to the third, 262144. */
  private static double product() {
    try (Tensor ones = torch.ones(64, 64);
        Tensor product = ones.matmul(ones);
        Tensor sum = product.sum()) {
      return sum.item().toDouble();
    }
  }
}
