package demo;

import com.alipay.sofa.koupleless.plugin.concurrent.KouplelessRunnable;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(KouplelessRunnable.class.getSimpleName().isEmpty() ? "none" : "ok");
    }
}
