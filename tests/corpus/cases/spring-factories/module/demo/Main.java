package demo;

import java.util.List;
import org.springframework.context.ApplicationListener;
import org.springframework.core.io.support.SpringFactoriesLoader;

public class Main {
    public static void main(String[] args) throws Exception {
        List<ApplicationListener> found =
                SpringFactoriesLoader.loadFactories(ApplicationListener.class, Main.class.getClassLoader());
        // The base's plugins have listeners too.
        boolean ours = found.stream().anyMatch(one -> one.getClass().getName().equals("acme.tools.Listener"));
        Answer.say(ours ? "ok" : found);
    }
}
