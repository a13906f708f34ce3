package demo;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(com.google.common.collect.Peek.capacity());
    }
}
