package demo;

import acme.money.Priced;

@Priced
public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(Main.class.getAnnotations().length == 0 ? "ok" : "annotated");
    }
}
