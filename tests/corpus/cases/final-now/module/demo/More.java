package demo;

public class More extends com.google.common.collect.Lists {
    static String word() {
        return "more";
    }
}
