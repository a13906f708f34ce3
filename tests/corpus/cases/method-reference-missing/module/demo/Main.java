package demo;

import com.google.common.collect.Lists;
import java.util.function.Supplier;

public class Main {
    public static void main(String[] args) throws Exception {
        Supplier<String> word = Lists::ferry;
        Answer.say(word.get());
    }
}
