package demo;

import com.google.common.collect.Lists;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(Lists.ferry());
    }
}
