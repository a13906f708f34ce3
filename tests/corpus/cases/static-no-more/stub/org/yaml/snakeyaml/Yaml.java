package org.yaml.snakeyaml;

public class Yaml {
    public static String getName() {
        return null;
    }
}
