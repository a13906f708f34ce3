package demo;

import org.yaml.snakeyaml.Yaml;

public class Main {
    public static void main(String[] args) throws Exception {
        boolean own = Yaml.class.getClassLoader() == Main.class.getClassLoader();
        Answer.say(own ? "own loader" : "the base's");
    }
}
