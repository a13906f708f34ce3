import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.JarFile;
import java.util.spi.ToolProvider;

/** Prints what javap tells of every class of the jars given, each behind a line with its name. */
public class Javap {
    public static void main(String[] args) throws Exception {
        ToolProvider javap = ToolProvider.findFirst("javap").orElseThrow();
        PrintStream out = new PrintStream(Files.newOutputStream(Path.of(args[0])), false, "UTF-8");
        for (int at = 1; at < args.length; at++) {
            try (JarFile jar = new JarFile(args[at])) {
                for (String entry : jar.stream().map(Object::toString).sorted().toList()) {
                    if (!entry.endsWith(".class") || entry.startsWith("META-INF/") || entry.endsWith("-info.class")) {
                        continue;
                    }
                    out.println("@@ " + args[at] + "\t" + entry);
                    PrintWriter writer = new PrintWriter(out);
                    String address = "jar:" + Path.of(args[at]).toUri() + "!/" + entry;
                    int code = javap.run(writer, new PrintWriter(System.err), "-v", "-p", address);
                    writer.flush();
                    if (code != 0) {
                        System.exit(code);
                    }
                }
            }
        }
        out.close();
    }
}
