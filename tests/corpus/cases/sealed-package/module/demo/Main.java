package demo;

import acme.tools.More;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(More.word());
    }
}
