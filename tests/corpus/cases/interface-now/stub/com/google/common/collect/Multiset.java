package com.google.common.collect;

public class Multiset {
    public int size() {
        return 0;
    }
}
