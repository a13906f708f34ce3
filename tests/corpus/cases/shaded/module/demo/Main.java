package demo;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(shaded.tools.Tools.word());
    }
}
