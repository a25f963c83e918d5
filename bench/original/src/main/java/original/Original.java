// SPDX-License-Identifier: Apache-2.0
package original;

import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipFile;
import org.apache.commons.compress.utils.SeekableInMemoryByteChannel;

/**
 * The way that a Java layer does it: one GET of the whole object into the heap, then one entry after another.
 * The AWS SDK's start-up is left out, in the original's favour.
 */
public final class Original {
  private Original() {}

  public static void main(String[] args) throws IOException {
    if (args.length != 2) {
      System.err.println("usage: Original URL DIRECTORY");
      System.exit(2);
    }
    unpack(get(URI.create(args[0])), Path.of(args[1]).toAbsolutePath().normalize());
  }

  private static byte[] get(URI uri) throws IOException {
    HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
    int length = connection.getContentLength();
    if (connection.getResponseCode() != 200 || length < 0) {
      throw new IOException(uri + ": HTTP " + connection.getResponseCode());
    }
    byte[] archive = new byte[length];
    try (InputStream body = connection.getInputStream()) {
      if (body.readNBytes(archive, 0, length) != length) {
        throw new IOException(uri + ": body ended early");
      }
    }
    return archive;
  }

  private static void unpack(byte[] archive, Path root) throws IOException {
    try (ZipFile zip =
        ZipFile.builder().setSeekableByteChannel(new SeekableInMemoryByteChannel(archive)).get()) {
      for (ZipArchiveEntry entry : Collections.list(zip.getEntries())) {
        Path path = root.resolve(entry.getName()).normalize();
        if (!path.startsWith(root)) {
          throw new IOException(entry.getName() + ": leaves the destination");
        }
        if (entry.isDirectory()) {
          Files.createDirectories(path);
          continue;
        }
        Files.createDirectories(path.getParent());
        if (entry.isUnixSymlink()) {
          Files.createSymbolicLink(path, Path.of(zip.getUnixSymlink(entry)));
          continue;
        }
        try (InputStream content = zip.getInputStream(entry)) {
          Files.copy(content, path);
        }
        Files.setPosixFilePermissions(path, permissions(entry.getUnixMode()));
      }
    }
  }

  private static Set<PosixFilePermission> permissions(int mode) {
    Set<PosixFilePermission> permissions = EnumSet.noneOf(PosixFilePermission.class);
    PosixFilePermission[] all = PosixFilePermission.values(); // OWNER_READ, OWNER_WRITE, ... OTHERS_EXECUTE
    for (int bit = 0; bit < all.length; bit++) {
      if ((mode & (0400 >> bit)) != 0) {
        permissions.add(all[bit]);
      }
    }
    return permissions;
  }
}
