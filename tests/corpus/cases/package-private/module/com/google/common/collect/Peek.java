package com.google.common.collect;

public class Peek {
    public static int capacity() {
        return Lists.computeArrayListCapacity(3);
    }
}
