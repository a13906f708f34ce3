package demo;

import acme.tools.Tool;
import java.util.ServiceLoader;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(ServiceLoader.load(Tool.class, Main.class.getClassLoader()).iterator().next().word());
    }
}
