package com.google.common.collect;

public class Lists {
    public static Object newer() {
        return null;
    }
}
