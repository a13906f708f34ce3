package demo;

import com.google.common.base.Converter;
import com.google.common.base.Peek;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(Peek.at(Converter.identity()));
    }
}
