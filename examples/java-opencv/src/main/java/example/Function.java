// SPDX-License-Identifier: Apache-2.0
package example;

import static org.bytedeco.opencv.global.opencv_core.CV_8UC1;
import static org.bytedeco.opencv.global.opencv_core.countNonZero;
import static org.bytedeco.opencv.global.opencv_imgproc.FILLED;
import static org.bytedeco.opencv.global.opencv_imgproc.INTER_NEAREST;
import static org.bytedeco.opencv.global.opencv_imgproc.LINE_8;
import static org.bytedeco.opencv.global.opencv_imgproc.rectangle;
import static org.bytedeco.opencv.global.opencv_imgproc.resize;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.opencv.opencv_core.Mat;
import org.bytedeco.opencv.opencv_core.Rect;
import org.bytedeco.opencv.opencv_core.Scalar;
import org.bytedeco.opencv.opencv_core.Size;

/** Draws and scales with OpenCV, multiplies with OpenBLAS. Nothing here knows where the libraries come from. */
public final class Function implements RequestStreamHandler {
  /** Run once on a build machine with JavaCPP's debug log, this shows what the function loads. */
  public static void main(String[] arguments) {
    System.out.println(work());
  }

  @Override
  public void handleRequest(InputStream request, OutputStream answer, Context context) throws IOException {
    answer.write(work().getBytes(StandardCharsets.UTF_8));
  }

  private static String work() {
    return "{\"pixels\":" + pixels() + ",\"dot\":" + Math.round(dot()) + "}";
  }

  /** A white square of 40 by 40, twice as large: 6400 pixels. */
  private static int pixels() {
    try (Mat image = new Mat(100, 100, CV_8UC1, new Scalar(0.0));
        Mat scaled = new Mat()) {
      rectangle(image, new Rect(10, 20, 40, 40), new Scalar(255.0), FILLED, LINE_8, 0);
      resize(image, scaled, new Size(200, 200), 0, 0, INTER_NEAREST);
      return countNonZero(scaled);
    }
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
}
