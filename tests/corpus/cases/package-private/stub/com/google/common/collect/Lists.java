package com.google.common.collect;

public class Lists {
    static int computeArrayListCapacity(int size) {
        return size;
    }
}
