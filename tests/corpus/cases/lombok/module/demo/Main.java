package demo;

public class Main {
    public static void main(String[] args) throws Exception {
        Greeting one = Greeting.builder().word("ok").build();
        Answer.say(one.equals(Greeting.builder().word("ok").build()) ? one.logged() : one.getWord());
    }
}
