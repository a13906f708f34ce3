package demo;

import acme.tools.Tools;
import org.yaml.snakeyaml.Yaml;

public class Main {
    public static void main(String[] args) throws Exception {
        new Yaml().load("ok");
        Answer.say(Tools.shout());
    }
}
