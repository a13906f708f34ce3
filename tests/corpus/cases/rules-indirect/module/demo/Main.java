package demo;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say("ok");
    }
}
