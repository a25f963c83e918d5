// SPDX-License-Identifier: Apache-2.0
package e2e;

import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas;

/** A matrix product whose exact result is known. */
final class Product {
  static final int SIZE = 200;

  private Product() {}

  static void loadOpenBlas() {
    Loader.load(openblas.class);
  }

  /** The sum of the product's elements; every element is compared with plain Java's. Small integers: no rounding. */
  static long checked() {
    double[] a = new double[SIZE * SIZE];
    double[] b = new double[SIZE * SIZE];
    double[] c = new double[SIZE * SIZE];
    for (int row = 0; row < SIZE; row++) {
      for (int column = 0; column < SIZE; column++) {
        a[row * SIZE + column] = (row + column) % 7;
        b[row * SIZE + column] = (row * column) % 5;
      }
    }
    openblas.cblas_dgemm(openblas.CblasRowMajor, openblas.CblasNoTrans, openblas.CblasNoTrans, SIZE, SIZE, SIZE, 1.0,
        a, SIZE, b, SIZE, 0.0, c, SIZE);
    long sum = 0;
    for (int row = 0; row < SIZE; row++) {
      for (int column = 0; column < SIZE; column++) {
        double expected = 0;
        for (int k = 0; k < SIZE; k++) {
          expected += a[row * SIZE + k] * b[k * SIZE + column];
        }
        if (c[row * SIZE + column] != expected) {
          throw new ArithmeticException("element " + row + "," + column + ": " + c[row * SIZE + column]);
        }
        sum += (long) expected;
      }
    }
    return sum;
  }
}
