package demo;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(new Words().reverse().convert("ok"));
    }
}
