package demo;

import acme.money.Money;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(new Money());
    }
}
