package acme.tools;

import org.springframework.context.ApplicationEvent;
import org.springframework.context.ApplicationListener;

public class Listener implements ApplicationListener<ApplicationEvent> {
    private final Object kept = "ok";

    public void onApplicationEvent(ApplicationEvent event) {}

    public String toString() {
        return "ok";
    }
}
