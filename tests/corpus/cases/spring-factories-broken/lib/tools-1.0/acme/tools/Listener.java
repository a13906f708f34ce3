package acme.tools;

import com.google.common.collect.Lists;
import org.springframework.context.ApplicationEvent;
import org.springframework.context.ApplicationListener;

public class Listener implements ApplicationListener<ApplicationEvent> {
    private final Object kept = Lists.newer();

    public void onApplicationEvent(ApplicationEvent event) {}

    public String toString() {
        return "ok";
    }
}
