package demo;

import acme.money.Money;

public class Main {
    static boolean present() {
        try {
            Class.forName("acme.money.Money");
            return true;
        } catch (ClassNotFoundException missing) {
            return false;
        }
    }

    public static void main(String[] args) throws Exception {
        Answer.say(present() ? Money.word() : "ok");
    }
}
