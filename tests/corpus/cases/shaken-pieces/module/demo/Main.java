package demo;

import acme.tools.Tools;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(Tools.word("Named"));
    }
}
