package demo;

import acme.money.Money;

public class Main {
    public static void main(String[] args) throws Exception {
        String word = "ok";
        try {
            word = Money.word();
        } catch (NoClassDefFoundError missing) {
            word = "ok";
        }
        Answer.say(word);
    }
}
