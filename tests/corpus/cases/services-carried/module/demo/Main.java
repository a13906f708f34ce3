package demo;

import com.fasterxml.jackson.core.ObjectCodec;
import java.util.ServiceLoader;

public class Main {
    public static void main(String[] args) throws Exception {
        ServiceLoader<ObjectCodec> found = ServiceLoader.load(ObjectCodec.class, Main.class.getClassLoader());
        Answer.say(found.iterator().next().getClass().getName());
    }
}
