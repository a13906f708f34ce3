package ferry.demo.base;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** Starts the base: Tomcat, arklet, and no module yet. */
@SpringBootApplication
public class BaseApplication {
    private static final String ARKLET_PORT = "koupleless.arklet.http.port";

    public static void main(String[] args) {
        // Arklet reads system properties only: neither the environment nor Spring's files.
        String port = System.getenv("ARKLET_PORT");
        if (port != null && System.getProperty(ARKLET_PORT) == null) {
            System.setProperty(ARKLET_PORT, port);
        }
        SpringApplication.run(BaseApplication.class, args);
    }
}
