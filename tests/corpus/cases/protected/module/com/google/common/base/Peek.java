package com.google.common.base;

public class Peek {
    public static Object at(Converter<String, String> converter) {
        return converter.doForward("ok");
    }
}
