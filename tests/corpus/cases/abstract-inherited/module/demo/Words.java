package demo;

import com.google.common.base.Converter;

public class Words extends Converter<String, String> {
    @Override
    protected String doForward(String from) {
        return from;
    }
}
