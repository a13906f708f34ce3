package com.google.common.collect;

public class Lists {
    public Lists() {}
}
