package demo;

import acme.tools.Tools;

public class Main {
    public static void main(String[] args) throws Exception {
        boolean there = Tools.class.getResource("Idle.class") != null;
        Answer.say(Tools.word() + (there ? ", there" : ", gone"));
    }
}
