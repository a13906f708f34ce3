import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

/** Compiles everything that a file lists, in one JVM: a line a task, its parts parted by tabs. */
public class Compile {
    public static void main(String[] args) throws Exception {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            String[] parts = line.split("\t");
            List<String> options =
                    new ArrayList<>(List.of("-nowarn", "--release", "17", "-d", parts[0], "-cp", parts[1]));
            Files.createDirectories(Path.of(parts[0]));
            for (int at = 2; at < parts.length; at++) {
                options.add(parts[at]);
            }
            if (compiler.run(null, null, null, options.toArray(new String[0])) != 0) {
                System.err.println("does not compile: " + line);
                System.exit(1);
            }
        }
    }
}
