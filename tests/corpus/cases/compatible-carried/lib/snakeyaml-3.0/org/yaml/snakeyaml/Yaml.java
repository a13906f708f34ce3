package org.yaml.snakeyaml;

public class Yaml {
    public Object load(String text) {
        return "own";
    }

    public Object shout(String text) {
        return "own";
    }
}
