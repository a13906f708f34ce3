package demo;

import ferry.demo.base.BaseApplication;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(new BaseApplication());
    }
}
