// SPDX-License-Identifier: Apache-2.0
package tmpdump;

/** A file will not be ready, or was not within the time limit; the message gives the reason. */
public final class TmpdumpException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private final int code;

  TmpdumpException(int code, String message) {
    super(message);
    this.code = code;
  }

  /** The code of tmpdump.h, e.g. 2 for a time limit that passed, 4 for a daemon that died, 5 for one that failed. */
  public int code() {
    return code;
  }
}
