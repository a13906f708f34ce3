package demo;

import java.util.List;
import org.springframework.context.ApplicationListener;
import org.springframework.core.io.support.SpringFactoriesLoader;

public class Main {
    public static void main(String[] args) throws Exception {
        List<ApplicationListener> found =
                SpringFactoriesLoader.loadFactories(ApplicationListener.class, Main.class.getClassLoader());
        Answer.say(found.get(0));
    }
}
