package demo;

import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** How a module says that it ran: a file in the base's temporary folder, named after its case. */
public class Answer {
    public static void say(Object text) throws Exception {
        try (InputStream name = Answer.class.getClassLoader().getResourceAsStream("corpus-case")) {
            String file = new String(name.readAllBytes(), StandardCharsets.UTF_8);
            Files.writeString(Path.of(System.getProperty("java.io.tmpdir"), file), String.valueOf(text));
        }
    }
}
