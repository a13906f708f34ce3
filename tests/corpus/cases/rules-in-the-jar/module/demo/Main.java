package demo;

import org.yaml.snakeyaml.Yaml;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(new Yaml().load("ok"));
    }
}
