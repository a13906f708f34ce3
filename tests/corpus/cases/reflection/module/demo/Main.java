package demo;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(Class.forName("acme.money.Money").getConstructor().newInstance());
    }
}
