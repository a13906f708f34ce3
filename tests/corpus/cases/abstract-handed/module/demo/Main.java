package demo;

import com.google.common.base.Stopwatch;

public class Main {
    public static void main(String[] args) throws Exception {
        Stopwatch.createStarted(new Clock());
        Answer.say("ok");
    }
}
