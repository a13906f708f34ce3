package demo;

import com.google.common.collect.Ferry;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(new Ferry());
    }
}
