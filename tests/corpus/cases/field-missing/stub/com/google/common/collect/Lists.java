package com.google.common.collect;

import java.util.ArrayList;

public class Lists {
    public static int ferry;

    public static <E> ArrayList<E> newArrayList() {
        return new ArrayList<>();
    }

    public static String ferry() {
        return "ferry";
    }
}
